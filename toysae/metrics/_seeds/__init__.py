"""What `toysae.metrics.uncertainty` is made of."""

"""What `toysae.metrics.composition` is made of."""

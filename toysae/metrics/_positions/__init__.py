"""What `toysae.metrics.positions` is made of."""

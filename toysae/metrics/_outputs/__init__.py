"""What `toysae.metrics.outputs` is made of."""

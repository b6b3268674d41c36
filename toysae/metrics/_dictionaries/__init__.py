"""What `toysae.metrics.dictionary` is made of."""

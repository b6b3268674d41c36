"""What `toysae.diagnostics.large` is made of."""

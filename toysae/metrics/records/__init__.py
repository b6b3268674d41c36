"""What is stated about each metric, one module for each public module of `toysae.metrics`."""

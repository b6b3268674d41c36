"""What is stated about each diagnostic, one module for each module of `toysae.diagnostics`."""

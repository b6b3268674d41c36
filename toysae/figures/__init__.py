"""Functions from tables and arrays to matplotlib figures."""

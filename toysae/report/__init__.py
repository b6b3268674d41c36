"""One self-contained HTML page out of figures and tables."""

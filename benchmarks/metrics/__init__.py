"""Metrics and diagnostics at the size of real dictionaries."""

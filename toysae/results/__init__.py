"""Run directories, provenance, findings, and the one table of a sweep."""

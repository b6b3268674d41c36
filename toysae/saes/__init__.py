"""SAE families: one file a family."""

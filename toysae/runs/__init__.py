"""Runs: one configuration, trained with several seeds and held against the truth."""

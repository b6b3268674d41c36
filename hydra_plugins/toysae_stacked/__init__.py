"""Hydra plugin: `hydra/launcher=stacked`."""

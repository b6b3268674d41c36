"""Activations of real language models."""

"""From feature coefficients to the hidden activations an SAE sees."""

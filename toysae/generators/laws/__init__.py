"""Numbers a feature has: firing probabilities, and the laws of magnitudes."""

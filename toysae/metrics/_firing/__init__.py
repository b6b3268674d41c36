"""What `density`, `cofiring` and `communities` are made of."""

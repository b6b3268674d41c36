"""Pure functions that hold SAEs against the truth and against each other."""

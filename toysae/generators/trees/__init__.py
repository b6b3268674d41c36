"""Who is whose child, what that does to probabilities, and how trees fire."""

"""Tables over one-hot sets, their boosts, and how they are drawn."""

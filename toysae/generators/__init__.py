"""Which features fire, and how strongly."""

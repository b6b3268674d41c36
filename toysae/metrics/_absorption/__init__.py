"""What `absorption`, `splitting` and `hedging` share."""

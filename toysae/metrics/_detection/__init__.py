"""What `detection`, `ranking`, `recovery` and `matching_keys` share."""

"""Parameters that many processes share: found, checked, counted, pruned together."""

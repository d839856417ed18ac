"""The entries of files, counted by blocks."""

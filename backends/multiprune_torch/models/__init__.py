"""Whole models: selected, pruned, reported, loaded, frozen."""

"""Ranking on an accelerator, where the tensors are."""

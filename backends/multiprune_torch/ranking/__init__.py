"""Masks of tensors: by the algebra, by a method of the user, by torch's generator."""

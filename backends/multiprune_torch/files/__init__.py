"""Masks of models in packed mask files."""

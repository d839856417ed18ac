"""Benchmarks: multiprune beside torch.nn.utils.prune, and beside sorting in JAX.

Each run is a fresh process.
"""

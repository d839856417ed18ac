"""Benchmarks: multiprune and torch.nn.utils.prune side by side, each run in a fresh process."""

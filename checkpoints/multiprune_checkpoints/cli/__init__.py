"""The command ``multiprune``: checkpoints pruned, inspected and compared without code."""

from multiprune_checkpoints.cli.main import main

__all__ = ["main"]

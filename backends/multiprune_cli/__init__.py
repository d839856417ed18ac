"""The command ``multiprune``: checkpoints pruned, looked at and compared without code."""

from multiprune_cli.main import main

__all__ = ["main"]

"""The reference for global pruning: specification, vectors, oracle and judge.

This package judges implementations and therefore imports none. Everything but
the oracle needs the standard library only; the oracle also needs NumPy.
"""

__version__ = "2026.11"

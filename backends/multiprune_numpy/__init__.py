"""The NumPy backend: arrays, ml_dtypes ones included."""

from multiprune_numpy.backend import backend

__all__ = ["backend"]

"""Adapters to be judged: stock torch, multiprune on each framework; and one in JavaScript."""

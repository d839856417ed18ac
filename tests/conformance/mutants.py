"""Wrong implementations: the oracle with one rule broken, each a bug that a project had or could.

A mutant is a name, the clause that it breaks, and replacements of functions. It answers through
the Python door like any other implementation.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

from multiprune_conformance.oracle_implementation import Oracle

PACKAGE = "multiprune_conformance"
Replacement = tuple[str, Any]


@dataclass(frozen=True)
class Mutant:
    """One broken rule."""

    name: str
    clause: str
    replacements: tuple[Replacement, ...]

    def implementation(self) -> Broken:
        return Broken(self)


class Broken(Oracle):
    """The oracle while the mutant's replacements are in force."""

    def __init__(self, mutant: Mutant) -> None:
        self.mutant = mutant

    def run(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        with ExitStack() as stack:
            for target, new in self.mutant.replacements:
                stack.enter_context(patch(f"{PACKAGE}.{target}", new))
            return super().run(operation, request)


MUTANTS: dict[str, Mutant] = {}


def breaks(clause: str, *targets: str) -> Callable[[Any], Any]:
    """Register a function as the replacement of others, under its own name."""

    def register(function: Any) -> Any:
        name = function.__name__.strip("_").replace("_", "-")
        replacements = tuple((target, function) for target in targets)
        assert name not in MUTANTS
        MUTANTS[name] = Mutant(name, clause, replacements)
        return function

    return register

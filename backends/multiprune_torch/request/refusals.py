"""Why something cannot be pruned, in words, and of which parameter that is said.

Clauses: ERR-04, ERR-05, DEV-13, DEV-28, DEV-52.
"""

from __future__ import annotations

import sys
import warnings
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import UninitializedParameter

from multiprune.errors import MultipruneError, ParametersTypeError
from multiprune_torch.errors import NoParameterError, UnprunableError
from multiprune_torch.sharding import is_sharded

__all__ = ["about", "check_dense", "check_model", "kind_of", "not_found", "show", "warn"]


def check_model(model: Any) -> None:
    """Check that what a whole-model verb was given is a model.

    Raises
    ------
    ParametersTypeError
        If it is not one (a TypeError).
    """
    if not isinstance(model, nn.Module):
        raise ParametersTypeError(
            f"{show(model)} was given for a model. Rule: it is a torch.nn.Module [ERR-05]. Pass "
            "the model itself; for a list of pairs take global_unstructured."
        )


def not_found(module: nn.Module, name: str) -> Exception:
    """Return the error that says what the module has instead of a parameter."""
    where = f"{name!r} of {kind_of(module)}"
    if name in module._parameters:
        return NoParameterError(
            f"{where} is None. Rule: there must be a parameter to prune [ERR-04]. The layer was "
            "made without it (for example bias=False): leave the pair out."
        )
    parametrized = getattr(module, "parametrizations", None)
    if isinstance(parametrized, nn.Module) and hasattr(parametrized, name):
        return UnprunableError(
            f"{where} is parametrized. Rule: pruning needs a plain parameter [DEV-52]. Prune "
            f"{_originals(parametrized, name)}, or remove the parametrization first."
        )
    if name in module._buffers:
        return UnprunableError(
            f"{where} is a buffer. Rule: only parameters are pruned [DEV-52]. Leave it out, or "
            "register it as a parameter."
        )
    if hasattr(module, name):
        return UnprunableError(
            f"{where} is a {type(getattr(module, name)).__name__}, no parameter of its own. "
            "Rule: only parameters are pruned [DEV-52]. If weight_norm made it, remove that first."
        )
    names = [n for n, p in module.named_parameters() if p is not None]
    return NoParameterError(
        f"{kind_of(module)} has no parameter {name!r}. Rule: the name is one of its own parameters "
        f"[ERR-04]: {names}."
    )


def check_dense(module: nn.Module, name: str, parameter: nn.Parameter) -> None:
    """Check that a parameter is initialised and dense.

    Raises
    ------
    UnprunableError
        If it is lazy, sparse or quantized (a TypeError and a ValueError).
    """
    where = f"{name!r} of {kind_of(module)}"
    if isinstance(parameter, UninitializedParameter):
        raise UnprunableError(
            f"{where} is lazy and has no values yet. Rule: only initialised parameters are pruned "
            "[DEV-52]. Run one forward first."
        )
    if parameter.layout != torch.strided:
        raise UnprunableError(
            f"{where} is sparse ({parameter.layout}). Rule: only dense parameters are pruned "
            "[DEV-28]. Convert it: parameter.to_dense()."
        )
    if hasattr(parameter, "__tensor_flatten__") and not is_sharded(parameter):
        raise UnprunableError(
            f"{where} is held as {kind_of(parameter)}: other tensors stand for its values, as in "
            "quantized ones. Rule: only dense parameters are pruned [DEV-28]. Prune before "
            "quantization, or leave it out: exclude=..."
        )


def _originals(parametrized: nn.Module, name: str) -> str:
    held = dict(parametrized.get_submodule(name).named_parameters(recurse=False))
    return " or ".join(f"(module.parametrizations.{name}, {original!r})" for original in held)


def kind_of(module: Any) -> str:
    """Return the name of something's class."""
    return type(module).__name__


def show(value: Any) -> str:
    """Say briefly what was given, for messages."""
    if isinstance(value, torch.Tensor):
        return f"a {type(value).__name__} of shape {tuple(value.shape)}"
    if isinstance(value, nn.Module):
        return f"a {type(value).__name__}"
    if isinstance(value, (tuple, list)):
        return f"({', '.join(map(show, value))})"
    text = repr(value)
    return text if len(text) < 60 else f"a {type(value).__name__}"


class about:  # noqa: N801 - it is read as a word: ``with about(place):``
    """Say in an error of ours which parameter it concerns, where it does not say so itself."""

    __slots__ = ("where",)

    def __init__(self, where: object) -> None:
        self.where = where

    def __enter__(self) -> None:
        """Nothing: calls over thousands of parameters pay for this."""

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        if isinstance(error, MultipruneError) and str(self.where) not in str(error):
            error.args = (f"{self.where}: {error}",)


def warn(message: str, category: type[Warning]) -> None:
    """Warn of the line that called the library, however deep in it this is."""
    frame, depth = sys._getframe(1), 2
    while frame.f_back and str(frame.f_globals.get("__name__")).startswith("multiprune_torch."):
        frame, depth = frame.f_back, depth + 1
    warnings.warn(message, category, stacklevel=depth)

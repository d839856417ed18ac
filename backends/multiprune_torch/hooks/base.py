"""What all hook classes share: applying a mask, pruning one parameter, and removal.

Clauses: REP, ERR-01. Source: ``torch.nn.utils.prune.BasePruningMethod`` and ``PruningContainer``.
"""

from __future__ import annotations

from copy import copy
from typing import Any

import torch
from torch import nn
from torch.nn.utils import prune as torch_prune

from multiprune.errors import ScoresShapeError
from multiprune_torch.errors import NotPrunedError, ScriptError, UnprunableError
from multiprune_torch.hooks.buffers import PrunedBuffers
from multiprune_torch.hooks.reparametrization import all_or_nothing, install, uninstall
from multiprune_torch.ranking.masks import mask_dtype_of
from multiprune_torch.ranking.user_methods import next_mask, scales
from multiprune_torch.request.parameters import Place, read
from multiprune_torch.request.pruned import is_binary, masked
from multiprune_torch.request.refusals import about
from multiprune_torch.request.scores import check_scores
from multiprune_torch.sharding import storage

__all__ = ["BasePruningMethod", "PruningContainer", "commit"]


class BasePruningMethod(torch_prune.BasePruningMethod):
    """Base of all pruning methods; also a hook, through which torch knows a pruned module.

    Subclass it with a `compute_mask` and a PRUNING_TYPE, as torch's documentation says.

    Notes
    -----
    Clauses REP-01 to REP-06. Source: ``torch.nn.utils.prune.BasePruningMethod``.
    """

    _scales = False
    """Whether a user's mask holds other values than 0 and 1, and is multiplied as in torch."""

    @property
    def __name__(self) -> str:
        """Asked for by torch.jit.script, of every hook, before it fails to compile it."""
        raise ScriptError(
            f"{self._tensor_name!r} is pruned. Rule: torch.jit.script compiles no pruning hooks. "
            "Make the pruning permanent first: prune.remove, or prune.remove_all(model)."
        )

    def __call__(self, module: nn.Module, inputs: Any) -> None:
        """Make the pruned value ready for a forward, where reading it is not enough."""
        name, buffers = self._tensor_name, module._buffers
        if isinstance(buffers, PrunedBuffers):
            if buffers.module is not module and module._parameters is not buffers.parameters:
                buffers = module.__dict__["_buffers"] = buffers.twin(module)  # a shallow copy
            buffers.begin(name)
        elif name + "_orig" in module._parameters or hasattr(module, name + "_orig"):
            # A replica of DataParallel: its dicts are plain copies, its parameters attributes.
            module.__dict__[name] = self.apply_mask(module)
        else:
            raise UnprunableError(
                f"{type(module).__name__} runs the pruning hook of {name!r}, but {name}_orig is "
                "gone: it was converted after pruning. Rule: a pruned parameter has both "
                f"{name}_orig and {name}_mask [REP-01]. Call prune.remove before converting."
            )

    def apply_mask(self, module: nn.Module) -> torch.Tensor:
        """Return the pruned value of the parameter: `name_orig` where `name_mask` is 1, else +0.

        Notes
        -----
        Of the parameter's shape and dtype, differentiable. Clause REP-03. Source:
        ``torch.nn.utils.prune.BasePruningMethod.apply_mask``.
        """
        name = self._tensor_name
        # Read where they are: every forward pays for this.
        orig: Any = module._parameters.get(name + "_orig")
        mask: Any = module._buffers.get(name + "_mask")
        if orig is None or mask is None:  # a replica
            orig, mask = getattr(module, name + "_orig"), getattr(module, name + "_mask")
        buffers = module._buffers
        if type(buffers) is PrunedBuffers and not torch.compiler.is_compiling():
            buffers.look_again(name)
        if self._scales:
            return mask.to(dtype=orig.dtype) * orig  # type: ignore[no-any-return]
        return masked(orig, mask, sparse=getattr(buffers, "sparse", False))

    @classmethod
    def apply(
        cls,
        module: nn.Module,
        name: str,
        *args: Any,
        importance_scores: Any = None,
        mask_dtype: torch.dtype | None = None,
        **kwargs: Any,
    ) -> Any:
        """Prune one parameter by this method.

        Parameters
        ----------
        module : nn.Module
        name : str
            The parameter's name; a dotted one leads into a submodule.
        *args, **kwargs
            The method's own.
        importance_scores : torch.Tensor, optional
            Ranked instead of the parameter; same shape.
        mask_dtype : torch.dtype, optional
            Of `name_mask`; the parameter's by default.

        Returns
        -------
        BasePruningMethod
            The hook: this method, or a container of all that pruned the parameter.

        Raises
        ------
        MultipruneError
            If the parameter, the scores or the amount do not fit; nothing is changed then.

        Notes
        -----
        Clauses REP-01 to REP-05, ERR-01. Source: ``torch.nn.utils.prune.BasePruningMethod.apply``.
        """
        place = read(module, name)
        storage().refuse_sharded(place)
        with about(place):
            method = cls(*args, **kwargs)
            method._tensor_name = place.name
            scores = None if importance_scores is None else check_scores(place, importance_scores)
            mask = method._mask(place, scores, mask_dtype_of(place, mask_dtype))
        with all_or_nothing([place.module]):
            return commit(place, mask, method)

    def prune(
        self,
        t: torch.Tensor,
        default_mask: torch.Tensor | None = None,
        importance_scores: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return a pruned version of a tensor, by `compute_mask`.

        Parameters
        ----------
        t : torch.Tensor
        default_mask : torch.Tensor, optional
            What is pruned already; ones by default.
        importance_scores : torch.Tensor, optional
            Ranked instead of `t`; same shape.

        Raises
        ------
        ScoresShapeError
            If the scores have another shape (an AssertionError and a ValueError).

        Notes
        -----
        A pruned NaN becomes 0. Source: ``torch.nn.utils.prune.BasePruningMethod.prune``.
        """
        if importance_scores is not None and importance_scores.shape != t.shape:
            raise ScoresShapeError(
                "importance_scores should have the same shape as tensor t, got "
                f"{tuple(importance_scores.shape)} vs {tuple(t.shape)} [SCORE-02]."
            )
        itself: Any = self
        mask = itself.compute_mask(
            t if importance_scores is None else importance_scores,
            default_mask=torch.ones_like(t) if default_mask is None else default_mask,
        )
        return masked(t, mask) if is_binary(mask) else t * mask

    def remove(self, module: nn.Module) -> None:
        """Make the pruning permanent: the parameter holds its pruned value and its own name.

        Notes
        -----
        Clauses REP-06, DEV-45. Source: ``torch.nn.utils.prune.BasePruningMethod.remove``.
        """
        name = self._tensor_name
        if name + "_orig" not in module._parameters:
            raise NotPrunedError(
                f"{name!r} of {type(module).__name__} has to be pruned before pruning can be "
                "removed [REP-07]."
            )
        with torch.inference_mode(False), torch.no_grad():  # what is kept must train everywhere
            value = self.apply_mask(module)
        with all_or_nothing([module]):
            uninstall(module, name, value)

    def _mask(self, place: Place, scores: torch.Tensor | None, dtype: torch.dtype) -> torch.Tensor:
        """Compute the next mask of a parameter, on top of its present one."""
        return next_mask(self, place, scores, dtype)


class PruningContainer(BasePruningMethod, torch_prune.PruningContainer):
    """The hook of a parameter that was pruned several times: its methods, in their order.

    Parameters
    ----------
    *methods : BasePruningMethod
        Or one iterable of them.

    Notes
    -----
    Clause DEV-44. Source: ``torch.nn.utils.prune.PruningContainer``.
    """

    def __init__(self, *methods: Any) -> None:
        self._pruning_methods: tuple[Any, ...] = ()
        if len(methods) == 1 and not isinstance(methods[0], torch_prune.BasePruningMethod):
            methods = tuple(methods[0])
        for method in methods:
            self.add_pruning_method(method)

    def add_pruning_method(self, method: Any) -> None:
        """Add a method at the end.

        Raises
        ------
        TypeError, ValueError
            If it is not a pruning method, or prunes a parameter of another name.
        """
        if "_tensor_name" not in self.__dict__ and isinstance(
            method, torch_prune.BasePruningMethod
        ):
            self._tensor_name = getattr(method, "_tensor_name", "")
        super().add_pruning_method(method)


def commit(place: Place, mask: torch.Tensor, method: Any) -> Any:
    """Install a mask at a place and wherever it is shared, and return the hook.

    Notes
    -----
    Call it under `all_or_nothing`. Clauses REP-05, DEV-04, DEV-11, DEV-40.
    """
    for shared in place.shared:
        commit(shared, mask, copy(method))
    method._tensor_name = place.name
    hook = method
    if place.hook is not None:
        earlier = [place.hook]
        if isinstance(place.hook, torch_prune.PruningContainer):
            earlier = list(place.hook)
        hook = PruningContainer(*earlier, method)
        hook._scales = method._scales or scales(place)
    install(place.module, place.name, mask, hook)
    return hook

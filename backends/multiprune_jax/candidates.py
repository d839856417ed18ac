"""The leaves of one call: by what scores they are ranked, and what was pruned before.

Everything that a call was given is matched by name and checked here, before anything is computed.
Clauses: TIE-04, SCORE-02, SCORE-03, MASK-03, MASK-04, ERR-03.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import jax

from multiprune.errors import ParametersTypeError, ScoresError, ScoresShapeError
from multiprune_jax.leaves import Where, as_array, chosen_leaves
from multiprune_jax.memory import are_on_one_cpu, check_replicas
from multiprune_jax.named_masks import as_mask, check_masks, leaves_of_masks
from multiprune_jax.paths import Tree

__all__ = ["Candidates"]


class Candidates:
    """The leaves of one call, in the order of their positions.

    Attributes
    ----------
    tree : Tree
    leaves, scores : dict of arrays
        What is pruned and what is ranked, by name.
    masks : dict of arrays
        Prior masks of those that have one.
    carried : dict of arrays
        Prior masks of leaves that are not ranked this time: they stay as they are.
    """

    def __init__(
        self,
        params: Any,
        where: Where | None,
        include: str | Iterable[str],
        exclude: str | Iterable[str],
        scores: Any,
        masks: Any,
    ) -> None:
        if hasattr(params, "masks") and hasattr(params, "report"):
            raise ParametersTypeError(
                "params is what a pruning returned. Rule: parameters are pruned, not the masks and "
                "the report beside them [ERR-05]. Pass pruned.params, and masks=pruned.masks."
            )
        self.tree = Tree(params)
        self.leaves = chosen_leaves(self.tree, where, include, exclude)
        self.scores = self.leaves if scores is None else self._matched(Tree(scores).leaves)
        prior = {} if masks is None else self.tree.own_names(leaves_of_masks(masks))
        check_masks(prior, self.tree.leaves, "params")
        checked = {name: as_mask(mask, name) for name, mask in prior.items()}
        self.masks = {name: mask for name, mask in checked.items() if name in self.leaves}
        self.carried = {name: mask for name, mask in checked.items() if name not in self.leaves}

    @property
    def arrays(self) -> list[jax.Array]:
        """Everything that is computed with."""
        return [*self.leaves.values(), *self.scores.values(), *self.masks.values()]

    @property
    def is_traced(self) -> bool:
        """Whether any of it has no values yet."""
        return any(isinstance(array, jax.core.Tracer) for array in self.arrays)

    def check_devices(self) -> None:
        """Check that all of it is on one device.

        Raises
        ------
        ParametersError
            If it is on different devices, or replicated by ``jax.pmap`` (a ValueError).
        """
        check_replicas(self.leaves.items())
        are_on_one_cpu(
            (name, array)
            for source in (self.leaves, self.scores, self.masks)
            for name, array in source.items()
        )

    def _matched(self, scores_given: Mapping[str, Any]) -> dict[str, jax.Array]:
        """Return one array of scores for each leaf that is ranked."""
        further = {
            self.tree.tied[name]: s for name, s in scores_given.items() if name in self.tree.tied
        }
        scores_given = {
            **further,
            **{n: s for n, s in scores_given.items() if n not in self.tree.tied},
        }
        missing = [name for name in self.leaves if name not in scores_given]
        unknown = sorted(set(scores_given) - set(self.tree.leaves))
        if missing or unknown:
            raise ScoresError(
                f"importance_scores lack {missing} and name {unknown}, which are no leaves of "
                "params. Rule: there is one array for each leaf that is ranked [SCORE-03]; those "
                f"are {list(self.leaves)}."
            )
        scores = {
            name: as_array(scores_given[name], f"the score of {name}") for name in self.leaves
        }
        for name, array in scores.items():
            if array.shape != self.leaves[name].shape:
                raise ScoresShapeError(
                    f"importance_scores of {name} have shape {array.shape}, its leaf "
                    f"{self.leaves[name].shape}. Rule: scores have their tensor's shape [SCORE-02]."
                )
        return scores

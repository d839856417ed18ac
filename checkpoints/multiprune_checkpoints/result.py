"""What a pruning of a checkpoint did, as a value. Text and Python numbers only."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from multiprune.cut import Cut
from multiprune.report import Report, TensorReport, json_values

__all__ = ["PrunedCheckpoint", "cut_texts"]


@dataclass(frozen=True)
class PrunedCheckpoint:
    """What `prune_checkpoint` did. Prints as a table.

    Attributes
    ----------
    report : Report
    provenance : dict of str
        What is added to the output's metadata; of several shards, those of the first.
    inputs : dict of str
        SHA-256 of each input file by its name.
    untouched : list of str
        Names of tensors that were not ranked.
    tied : list of list of str
        Names of the same bytes: pruned once, under the first.
    left_out : dict of str
        Names of tensors that were not ranked because they are no weights, with the reason.
    dense_copies : list of str
        Files in the same folder that look like weights, too, and stay as they are.
    resumed : bool
        Whether an interrupted run was finished, and nothing else done.
    """

    report: Report
    provenance: dict[str, str]
    inputs: dict[str, str]
    untouched: list[str] = field(default_factory=list)
    tied: list[list[str]] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    dense_copies: list[str] = field(default_factory=list)
    resumed: bool = False

    def __str__(self) -> str:
        return str(self.report)

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain values."""
        report = asdict(self.report) | {
            "size": self.report.size,
            "pruned": self.report.pruned,
            "collapsed": self.report.collapsed,
        }
        return {**asdict(self), "report": report}

    def to_json(self) -> str:
        """Return everything as JSON; see `multiprune.report.json_values` for what is not finite."""
        return json.dumps(
            json_values(self.as_dict()), indent=2, ensure_ascii=False, allow_nan=False
        )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> PrunedCheckpoint:
        """Make one of what `as_dict` returned."""
        report = values["report"]
        tensors = [
            TensorReport(
                **{**t, "shape": tuple(t["shape"]), "threshold": _number(t.get("threshold"))}
            )
            for t in report["tensors"]
        ]
        kept = {k: report[k] for k in ("ties", "tied_pruned", "method", "scope")}
        kept["threshold"] = _number(report["threshold"])
        return cls(**{**values, "report": Report(tensors, **kept)})


def cut_texts(cuts: Sequence[Cut]) -> dict[str, str]:
    """Say where the one pool is cut; with several pools each report line has its own threshold."""
    if len(cuts) != 1:
        return {}
    (cut,) = cuts
    return {
        "count": str(cut.count),
        "live": str(cut.live),
        "threshold": f"{cut.threshold:x}",
        "position": str(cut.position),
    }


def _number(value: Any) -> Any:
    """Return a threshold as JSON holds it as a number."""
    return float(value) if value in ("inf", "-inf") else value

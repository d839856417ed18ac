"""Outcomes as tables and JSON. What a user reads; nothing is computed from files here."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from multiprune import Report
from multiprune.report import COLLAPSE, json_values
from multiprune_checkpoints import CheckpointDifference, Inspection, PrunedCheckpoint, Verdict
from multiprune_checkpoints.analysis.view import Charts
from multiprune_checkpoints.cli.tables import bar, natural, percent, plain, shape_text, show
from multiprune_checkpoints.formats.source import write_all
from multiprune_checkpoints.output.atomic import AtomicFile

__all__ = [
    "print_json",
    "show_difference",
    "show_inspection",
    "show_pruned",
    "show_report",
    "show_verdict",
    "write_report",
]


def print_json(values: dict[str, Any]) -> None:
    """Print plain values as JSON."""
    print(json.dumps(json_values(values), indent=2, ensure_ascii=False, allow_nan=False))


def show_inspection(inspection: Inspection) -> None:
    """Show what a checkpoint holds."""
    print(
        f"{inspection.path}: {len(inspection.tensors):,} tensors, {inspection.size:,} entries in "
        f"{len(inspection.files)} file{'s' * (len(inspection.files) != 1)}"
    )
    rows = [
        (
            t.name,
            t.dtype,
            shape_text(t.shape),
            f"{t.size:,}",
            "?" if t.zeros is None else percent(t.zeros / t.size if t.size else 0.0),
            "yes" if t.selected else "",
            f"{t.non_finite:,} non-finite" if t.non_finite else t.left_out,
        )
        for t in inspection.tensors
    ]
    show(("tensor", "dtype", "shape", "entries", "zeros", "selected", ""), rows, (3, 4))
    for names in inspection.tied:
        print(f"tied: {' and '.join(names)} are the same bytes; pruned once, under the first")
    if inspection.sweep:
        _show_sweep(inspection)
    for key, text in sorted(inspection.metadata.items()):
        if key.startswith("multiprune."):
            print(f"{key}: {text}")


def _show_sweep(inspection: Inspection) -> None:
    sizes = {t.name: t.size for t in inspection.tensors}
    print("\nHow much of each tensor would be pruned:")
    rows = [
        (
            name,
            *(percent(row.pruned[name] / max(sizes[name], 1)) for row in inspection.sweep),
            _collapse(inspection, name, sizes[name]),
        )
        for name in sorted(inspection.sweep[0].pruned, key=natural)
    ]
    for title, texts in (
        ("threshold", [("" if r.exact else "~") + f"{r.threshold:.4g}" for r in inspection.sweep]),
        ("ties", ["?" if r.ties is None else f"{r.ties:,}" for r in inspection.sweep]),
    ):
        rows.append((title, *texts, ""))
    heads = ("tensor", *(percent(row.sparsity) for row in inspection.sweep), "")
    show(heads, rows, range(1, len(heads) - 1))


def _collapse(inspection: Inspection, name: str, size: int) -> str:
    """Say from where on hardly anything of a tensor is left."""
    targets = [
        row.sparsity for row in inspection.sweep if size and row.pruned[name] >= COLLAPSE * size
    ]
    return f"collapsed from {percent(min(targets))}" if targets else ""


def show_pruned(done: PrunedCheckpoint) -> None:
    """Show what a pruning did."""
    if done.resumed:
        print("An interrupted run with the same options was finished; nothing else was done.")
    _show_table(done.report)
    for names in done.tied:
        print(f"tied: {' and '.join(names)} are the same bytes; pruned once")
    _show_untouched(done.untouched)
    for reason, names in _by_reason(done.left_out).items():
        print(f"left out: {_some(names)}: {plain(reason)}")
    if done.dense_copies:
        print(f"warning: not pruned in the same folder: {_some(done.dense_copies)}")
    print(f"masks sha256 {done.provenance['multiprune.masks.sha256']}")


def show_report(charts: Charts) -> None:
    """Show how sparse a checkpoint is."""
    _show_table(charts.report)
    _show_untouched(charts.untouched)


def _show_table(report: Report) -> None:
    print(str(report).partition("\n")[0])
    several = any(t.threshold is not None for t in report.tensors)
    rows = [
        (
            t.name,
            shape_text(t.shape),
            f"{t.size:,}",
            percent(t.sparsity),
            bar(t.sparsity),
            *(("" if t.threshold is None else f"{t.threshold:.6g}",) if several else ()),
            t.note,
        )
        for t in sorted(report.tensors, key=lambda t: natural(t.name))
    ]
    head = ("tensor", "shape", "entries", "pruned", "", *(("threshold",) if several else ()), "")
    show(head, rows, (2, 3))
    if report.collapsed:
        names = ", ".join(report.collapsed)
        print(f"warning: {len(report.collapsed)} collapsed (99 % and more pruned): {names}")


def _show_untouched(names: Sequence[str]) -> None:
    if names:
        print(f"untouched: {len(names)} tensors, {_some(names)}")


def _some(names: Sequence[str]) -> str:
    return ", ".join(plain(name) for name in sorted(names)[:4]) + ", ..." * (len(names) > 4)


def _by_reason(left_out: Mapping[str, str]) -> dict[str, list[str]]:
    gathered: dict[str, list[str]] = {}
    for name, reason in left_out.items():
        gathered.setdefault(reason, []).append(name)
    return gathered


def show_difference(difference: CheckpointDifference) -> None:
    """Show how two checkpoints differ."""
    same = sum(t.status == "same" for t in difference.tensors)
    print(f"{same} of {len(difference.tensors)} tensors are the same")
    rows = [
        (
            t.name,
            t.status,
            f"{t.zeroed:,}",
            f"{t.revived:,}",
            f"{t.altered:,}",
            f"{percent(t.sparsity_a)} -> {percent(t.sparsity_b)}",
            t.note,
        )
        for t in sorted(difference.tensors, key=lambda t: natural(t.name))
        if t.status != "same"
    ]
    if rows:
        heads = ("tensor", "", "zeroed", "revived", "altered", "zeros", "")
        show(heads, rows, (2, 3, 4, 5))


def show_verdict(verdict: Verdict) -> None:
    """Show whether a checkpoint is pruned as masks say."""
    total = sum(verdict.violations.values())
    if verdict.violations:
        print(f"not verified: {total:,} entries are not zero though their masks prune them")
        show(("tensor", "entries"), [(n, f"{c:,}") for n, c in verdict.violations.items()], (1,))
    elif not verdict.ok:
        print(f"not verified: the file records the masks {verdict.recorded}")
    else:
        print(f"verified: {verdict.checked} masks, and every entry that they prune is zero")
    print(f"masks sha256 {verdict.digest}")


def write_report(done: PrunedCheckpoint, path: Path) -> None:
    """Write what a pruning did, as JSON."""
    with AtomicFile(path) as pending:
        write_all(pending.descriptor, done.to_json().encode() + b"\n", 0)
        pending.commit()

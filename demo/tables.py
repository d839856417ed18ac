"""What the demo prints."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean

from rich.console import Console
from rich.table import Table

from demo import digits, minilm
from demo.sentences import PAIRS
from multiprune import Report


def show_minilm(console: Console, study: minilm.Study) -> None:
    """Print the report of each pruning, the drift of the similarities, and the verdicts."""
    for level in study.levels:
        if level.dtype != "float32":
            continue  # it is there for its ties; its reports say the same once more
        console.rule(f"MiniLM: {level.amount:.0%} of the weights, all layers ranked together")
        show_report(console, level.report)
    console.rule("How far the sentence similarities drift")
    console.print(_drift(study))
    console.rule("The same masks elsewhere?")
    console.print(_verdicts(study))


def show_report(console: Console, report: Report) -> None:
    """Print a report as it comes: it sets its own columns, rich must not fold or colour them."""
    console.print(str(report), markup=False, highlight=False, soft_wrap=True)


def show_digits(console: Console, study: digits.Study) -> None:
    """Print accuracy against sparsity."""
    table = Table(caption=f"mean of {len(study.dense)} seeds")
    for heading in ("weights pruned", "accuracy, one-shot", "and fine-tuned"):
        table.add_column(heading, justify="right")
    table.add_row("0%", f"{mean(study.dense):.1%}", "")
    for place, sparsity in enumerate(digits.SPARSITIES):
        before = mean(seed[place] for seed in study.one_shot)
        after = mean(seed[place] for seed in study.tuned)
        table.add_row(f"{sparsity:.0%}", f"{before:.1%}", f"{after:.1%}")
    console.print(table)


def _drift(study: minilm.Study) -> Table:
    levels = [level for level in study.levels if level.dtype == "float32"]
    table = Table(title="Cosine similarity (and its change from dense)")
    table.add_column("first sentence of the pair", no_wrap=True, overflow="ellipsis")
    table.add_column("pair")
    table.add_column("dense", justify="right")
    for level in levels:
        table.add_column(f"{level.amount:.0%} pruned", justify="right", no_wrap=True)
    for place, pair in enumerate(PAIRS):
        dense = study.dense[place]
        cells = [
            f"{level.similarities[place]:.2f} ({level.similarities[place] - dense:+.2f})"
            for level in levels
        ]
        last_of_its_kind = place + 1 == len(PAIRS) or PAIRS[place + 1].kind != pair.kind
        table.add_row(pair.first, pair.kind, f"{dense:.2f}", *cells, end_section=last_of_its_kind)
    drifts = [_mean_change(study.dense, level.similarities) for level in levels]
    table.add_row("mean absolute change", "", "", *(f"{drift:.2f}" for drift in drifts))
    return table


def _mean_change(before: Sequence[float], after: Sequence[float]) -> float:
    return mean(abs(new - old) for old, new in zip(before, after, strict=True))


def _verdicts(study: minilm.Study) -> Table:
    table = Table(title="The same weights pruned by every backend, masks compared bit by bit")
    for heading in ("backend", "version"):
        table.add_column(heading, no_wrap=True)
    for heading in ("pruned", "threshold", "masks", "time"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("verdict", overflow="fold")
    for level in study.levels:
        table.add_section()
        table.add_row(f"[bold]{level.dtype}, {level.amount:.0%}[/]")
        for made in level.elsewhere.outcomes:
            differ = f" ({made.differing:,} bits differ)" if made.differing else ""
            table.add_row(
                made.backend,
                made.version,
                f"{made.count:,}",
                made.threshold or "-",
                made.digest[:12],
                f"{made.seconds:.2f} s",
                made.verdict + differ,
            )
        held = "the same" if level.masks == level.elsewhere.outcomes[0].digest else "OTHER MASKS"
        table.add_row("the pruned modules", "", "", "", level.masks[:12], "", held)
    return table

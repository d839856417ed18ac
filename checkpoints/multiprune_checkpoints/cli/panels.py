"""The four panels of a report, each drawn on axes that it is given.

Told apart by every kind of colour blindness, and in grey; red is for warnings only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, PercentFormatter

from multiprune import Report, TensorReport
from multiprune.report import COLLAPSE
from multiprune_checkpoints.analysis.block_map import BlockMap
from multiprune_checkpoints.analysis.view import Charts
from multiprune_checkpoints.cli.accuracy_curve import Curve
from multiprune_checkpoints.cli.tables import natural, plain

__all__ = ["STYLE", "accuracy", "blocks", "sparsity", "weights"]

BLUE, ORANGE, GREY, RED, INK = "#2166ac", "#e08214", "#a6a6a6", "#b2182b", "#333333"
STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial", "sans-serif"],
    "font.size": 10,
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "text.parse_math": False,  # names come from files, and a dollar sign in one is no formula
    "svg.fonttype": "none",
    "svg.hashsalt": "multiprune",
}
_MOST_LABELS, _LONGEST_LABEL = 64, 40
_BELOW_LEGEND = 0.87
_LOOKS = [(BLUE, "o", "-"), (ORANGE, "s", "-"), (GREY, "D", "--"), (INK, "^", ":")]


def sparsity(axes: Axes, report: Report) -> None:
    """Draw how sparse each tensor is, in the order of the network; collapsed ones in red."""
    tensors = sorted(report.tensors, key=lambda t: natural(t.name))
    shares = [t.sparsity for t in tensors]
    collapsed = [_collapsed(t) for t in tensors]
    places = np.arange(len(tensors))
    colours = [RED if c else BLUE for c in collapsed]
    many = len(tensors) > _MOST_LABELS
    look: dict[str, Any] = {"height": 1.0 if many else 0.74, "linewidth": 0.4 if many else 0}
    axes.barh(places, shares, color=colours, edgecolor=colours, **look)
    step = -(-len(tensors) // _MOST_LABELS)
    named = [i for i in range(len(tensors)) if i % step == 0]
    axes.set_yticks(named, [name for i, name in enumerate(labels(tensors)) if i in set(named)])
    axes.tick_params(axis="y", length=0, labelsize=8 if len(named) < 45 else 6.5)
    for label, place in zip(axes.get_yticklabels(), named, strict=True):
        label.set_color(RED if collapsed[place] else INK)
    axes.axvline(report.sparsity, color=ORANGE, linewidth=1.6)
    above = axes.get_xaxis_transform()  # x in data, y in heights of the panel
    text = f"all together {report.sparsity:.1%}"
    side = "right" if report.sparsity > 0.8 else "left" if report.sparsity < 0.2 else "center"
    axes.text(report.sparsity, 1.004, text, ha=side, va="bottom", fontsize=8.5, transform=above)
    axes.set_title("Sparsity of each tensor", pad=20)
    note = f"; red: {COLLAPSE:.0%} and more, collapsed" if any(collapsed) else ""
    axes.set_xlabel(f"pruned{note}")
    axes.set_xlim(0, 1)
    axes.set_ylim(len(tensors) - 0.4, -0.6)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))


def weights(axes: Axes, portrait: Charts) -> None:
    """Draw where the weights lie, and what of them is pruned."""
    histogram, report = portrait.histogram, portrait.report
    assert histogram is not None
    edges, kept, pruned = (np.array(v) for v in (histogram.edges, histogram.kept, histogram.pruned))
    axes.stairs(
        kept + pruned, edges, fill=True, color=BLUE, label=f"kept: {report.size - report.pruned:,}"
    )
    threshold = report.threshold if portrait.threshold_shown else None
    if pruned.any():
        axes.stairs(pruned, edges, fill=True, color=GREY, label=f"pruned: {report.pruned:,}")
    counts = (kept + pruned)[kept + pruned > 0]
    if counts.size:
        axes.set_yscale("log")  # with room above for the legend
        axes.set_ylim(max(0.7, counts.min() / 3), 20 * counts.max())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda count, _: f"{count:,.0f}"))
    if threshold is not None:
        for side in (threshold,) if portrait.signed else (-threshold, threshold):
            axes.axvline(side, ymax=_BELOW_LEGEND, color=ORANGE, linewidth=1.4)
        if histogram.zeros_only and not portrait.signed:
            span: dict[str, Any] = {
                "ymax": _BELOW_LEGEND,
                "color": GREY,
                "alpha": 0.25,
                "linewidth": 0,
            }
            axes.axvspan(-threshold, threshold, **span)
    handles, texts = axes.get_legend_handles_labels()
    if histogram.zeros_only:
        handles.append(Patch(color=GREY, alpha=0.25))
        texts.append(f"pruned, now zero: {report.pruned:,}")
    axes.legend(handles, texts, frameon=False, loc="upper right", fontsize=8.5, ncols=2)
    size = "" if threshold is None else f", threshold {threshold:.4g}"
    axes.set_title(f"Weights{size}")
    beyond = f" ({histogram.outside:,} lie further out)" if histogram.outside else ""
    axes.set_xlabel(f"weight{beyond}")
    axes.set_ylabel("entries (logarithmic)")
    axes.set_xlim(edges[0], edges[-1])


def accuracy(axes: Axes, curve: Curve, report: Report) -> None:
    """Draw what pruning costs, as the user measured it."""
    for number, (name, values) in enumerate(curve.series.items()):
        colour, marker, line = _LOOKS[number % len(_LOOKS)]
        look: dict[str, Any] = {"color": colour, "marker": marker, "linestyle": line}
        axes.plot(curve.sparsity, values, label=shorten(plain(name)), markersize=5, **look)
    axes.axvline(report.sparsity, color=GREY, linewidth=1.1, linestyle=":")
    axes.set_title("What it costs, as measured")
    axes.set_xlabel("weights pruned; dotted: this checkpoint")
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    if curve.fractions:
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.grid(color=GREY, alpha=0.25)
    if len(curve.series) == 1:
        axes.set_ylabel(shorten(plain(*curve.series)))
    else:
        axes.legend(frameon=False, loc="lower left", fontsize=8.5)


def blocks(axes: Axes, block_map: BlockMap) -> None:
    """Draw which parts of a tensor are kept."""
    values = np.array(block_map.kept)
    # The few blocks that stand out would take the contrast from all others.
    low, high = np.quantile(values, [0.01, 0.99])
    low, high = (low, high) if low < high else (0.0, 1.0)
    extent = (0.0, float(block_map.shape[1]), float(block_map.shape[0]), 0.0)
    image = axes.imshow(
        values, cmap="magma", vmin=low, vmax=high, extent=extent,
        aspect="auto", interpolation="nearest",
    )  # fmt: skip
    figure = axes.get_figure()
    assert figure is not None
    bar = figure.colorbar(image, ax=axes, pad=0.02, extend="both")
    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{share:.0%}"))
    bar.outline.set_visible(False)
    axes.spines[:].set_visible(False)
    axes.set_title(f"Kept in {shorten(plain(block_map.name.removesuffix('.weight')))}", size=11)
    tall, wide = block_map.block
    axes.set_xlabel(f"column; kept fraction of blocks of {tall}x{wide} entries")
    axes.set_ylabel("row")


def labels(tensors: Sequence[TensorReport]) -> list[str]:
    """Return names without what says nothing in a row of them."""
    names = [plain(t.name) for t in tensors]
    while len(names) > 1 and len({name.partition(".")[0] for name in names}) == 1:
        if not all(name.partition(".")[2] for name in names):
            break
        names = [name.partition(".")[2] for name in names]
    if all(name.endswith(".weight") for name in names):
        names = [name.removesuffix(".weight") for name in names]
    return [shorten(name) for name in names]


def shorten(name: str) -> str:
    """Take out the middle of a name that is too long to stand beside a bar."""
    if len(name) <= _LONGEST_LABEL:
        return name
    half = _LONGEST_LABEL // 2 - 1
    return f"{name[:half]}…{name[-half:]}"


def _collapsed(tensor: TensorReport) -> bool:
    return tensor.size > 0 and tensor.sparsity >= COLLAPSE

"""The picture that the demo leaves: what pruning costs, and where it falls."""

from __future__ import annotations

import re
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import PercentFormatter

from demo import digits, minilm
from demo.sentences import PAIRS
from multiprune.report import COLLAPSE

if TYPE_CHECKING:
    from multiprune import Report

# Told apart by every kind of colour blindness, and in grey; red is kept for warnings.
BLUE, ORANGE, GREY, RED, INK = "#2166ac", "#e08214", "#8c8c8c", "#b2182b", "#333333"
_STYLE: dict[Any, Any] = {
    "font.size": 10,
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 12,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}


def draw(path: Path, curve: digits.Study, model: minilm.Study | None) -> None:
    """Write the picture.

    Parameters
    ----------
    path : Path
        Where to write the PNG; its folder is made.
    curve : digits.Study
        Accuracy against sparsity.
    model : minilm.Study or None
        Where MiniLM was not fetched, the layers shown are those of the digits network.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    layout = ConstrainedLayoutEngine(w_pad=0.15, h_pad=0.15)
    with mpl.rc_context(_STYLE):
        if model is None:
            figure = Figure(figsize=(12, 4.6), layout=layout)
            left, right = figure.subplots(1, 2)
            title = f"Digits network: {digits.SHOWN:.0%} pruned over all layers together"
            _layers(right, curve.report, digits.SHOWN, title)
        else:
            figure = Figure(figsize=(14, 9.2), layout=layout)
            grid = figure.subplot_mosaic([["curve", "layers"], ["drift", "layers"]])
            left, right = grid["curve"], grid["layers"]
            _drift(grid["drift"], model)
            level = next(level for level in model.levels if level.amount == 0.8)
            title = "MiniLM: 80% pruned over all layers together"
            _layers(right, level.report, level.amount, title)
        _accuracy(left, curve)
        figure.savefig(path, dpi=130, facecolor="white")


def _accuracy(axes: Axes, curve: digits.Study) -> None:
    for name, seeds, colour, marker in (
        ("one-shot", curve.one_shot, BLUE, "o"),
        ("fine-tuned, masks held", curve.tuned, ORANGE, "s"),
    ):
        columns = list(zip(*seeds, strict=True))
        low, high = [min(column) for column in columns], [max(column) for column in columns]
        axes.fill_between(digits.SPARSITIES, low, high, color=colour, alpha=0.22, linewidth=0)
        middle = [mean(column) for column in columns]
        axes.plot(digits.SPARSITIES, middle, color=colour, marker=marker, markersize=5, label=name)
    dense = mean(curve.dense)
    axes.axhline(dense, color=GREY, linewidth=1.1, linestyle="--", zorder=1)
    axes.text(0.998, dense + 0.012, f"dense {dense:.1%}", color=GREY, fontsize=9, ha="right")
    axes.axhline(0.1, color=GREY, linewidth=1.1, linestyle=":", zorder=1)
    axes.text(0.495, 0.115, "guessing", color=GREY, fontsize=9)
    axes.set_title("Digits network: accuracy against sparsity")
    axes.set_xlabel("weights pruned, over all layers together")
    axes.set_ylabel(f"test accuracy (mean and range of {len(curve.dense)} seeds)")
    axes.set_xlim(0.485, 1.0)
    axes.set_ylim(0.0, 1.06)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.grid(color=GREY, alpha=0.2)
    axes.legend(frameon=False, loc="center left")


def _drift(axes: Axes, model: minilm.Study) -> None:
    levels = [level for level in model.levels if level.dtype == "float32"]
    looks = {
        "same": (BLUE, "-", "o", "say the same"),
        "near": (GREY, "-", "D", "share a theme"),
        "far": (ORANGE, "--", "s", "unrelated"),
    }
    for place, pair in enumerate(PAIRS):
        colour, line, marker, label = looks[pair.kind]
        first = all(earlier.kind != pair.kind for earlier in PAIRS[:place])
        values = [model.dense[place], *(level.similarities[place] for level in levels)]
        label = label if first else "_"  # one entry in the legend for each kind
        axes.plot(values, color=colour, ls=line, lw=1.4, marker=marker, markersize=4.5, label=label)
    axes.set_title("MiniLM: cosine similarity of twelve sentence pairs")
    axes.set_xticks(
        range(1 + len(levels)), ["dense", *(f"{level.amount:.0%} pruned" for level in levels)]
    )
    axes.set_ylim(-0.12, 1.04)
    axes.set_ylabel("cosine similarity")
    axes.grid(axis="y", color=GREY, alpha=0.2)
    axes.legend(frameon=False, title="the two sentences", title_fontsize=9, fontsize=9)


def _layers(axes: Axes, report: Report, target: float, title: str) -> None:
    tensors = sorted(report.tensors, key=lambda tensor: natural(tensor.name))
    shares = [tensor.sparsity for tensor in tensors]
    colours = [RED if share >= COLLAPSE else BLUE for share in shares]
    places = range(len(tensors))
    axes.barh(places, shares, color=colours, height=0.72)
    axes.set_yticks(places, [_short(tensor.name) for tensor in tensors])
    # The numbers stand in a column of their own: beside the bars they would meet the line.
    for place, (share, colour) in enumerate(zip(shares, colours, strict=True)):
        ink = RED if colour == RED else INK
        axes.text(1.115, place, f"{share:.1%}", color=ink, fontsize=8.5, ha="right", va="center")
        axes.get_yticklabels()[place].set_color(ink)
    axes.axvline(target, color=ORANGE, linewidth=1.8)
    above = axes.get_xaxis_transform()  # x in data, y in heights of the panel
    axes.text(target, 1.006, f"target {target:.0%}", ha="center", fontsize=9, transform=above)
    for place in _starts([tensor.name for tensor in tensors]):
        axes.axhline(place - 0.5, color=GREY, linewidth=0.8, alpha=0.6)
    axes.set_title(title, pad=22)
    axes.set_xlabel(f"pruned in each layer; red: collapsed, {COLLAPSE:.0%} and more pruned")
    axes.set_xlim(0, 1.12)
    axes.set_ylim(len(tensors) - 0.4, -0.6)
    axes.set_xticks([0, 0.2, 0.4, 0.6, 0.8, 1.0])
    axes.tick_params(axis="y", length=0, labelsize=8.5)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0))


def _starts(names: list[str]) -> list[int]:
    """Return the places where a new block of the network begins: another number, or none."""
    blocks = [re.findall(r"\d+", name)[:1] for name in names]
    found = [place for place in range(1, len(names)) if blocks[place] != blocks[place - 1]]
    return found if len(found) < len(names) - 1 else []


def natural(name: str) -> list[tuple[int, int, str]]:
    """Return a key that sorts names as the network runs: layer 2 before layer 10."""
    parts = re.findall(r"\d+|\D+", name)
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts]


def _short(name: str) -> str:
    """Take off what says nothing in a row of labels."""
    name = name.removesuffix(".weight").replace("encoder.layer.", "layer ")
    name = name.replace("embeddings.", "", 1).replace("attention.self", "attention")
    return f"layer {name}" if name.isdigit() else name.replace(".", " ")

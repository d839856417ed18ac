"""The picture of docs/pools.md: one small network, half of it pruned, in each scope.

python docs/pools.py             # docs/pools.png
python docs/pools.py other.png
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import NullLocator

import multiprune

SHAPES = {"first": (24, 32), "middle": (24, 24), "head": (6, 24)}
SCALES = {"first": 1.0, "middle": 0.6, "head": 0.1}
HALF: dict[str, Any] = {"sparsity": 0.5}
# What is written above a column, and what is asked for; (2, 4) says itself that half is pruned.
ASKED: dict[str, dict[str, Any] | None] = {
    "dense": None,
    'scope="global"': HALF,
    "keep_at_least=0.25": HALF | {"keep_at_least": 0.25},
    'scope="tensor"': HALF | {"scope": "tensor"},
    'scope="row"': HALF | {"scope": "row"},
    "scope=(2, 4)": {"scope": (2, 4)},
    'allocation="erk"': HALF | {"allocation": "erk"},
}

# Kept entries are told apart by lightness alone; red is kept for warnings.
PRUNED, RED, INK, LINE = "#ffffff", "#b2182b", "#222222", "#999999"
_STYLE: dict[Any, Any] = {
    "font.size": 9.5,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": LINE,
    "axes.linewidth": 0.7,
    "xtick.color": INK,
    "ytick.color": INK,
}


def network(seed: int = 0) -> dict[str, np.ndarray]:
    """Return the weights: rows of unequal scale in each layer, and a head of small weights."""
    rng = np.random.default_rng(seed)
    weights = {}
    for name, (rows, columns) in SHAPES.items():
        scale = SCALES[name] * np.exp(0.5 * rng.standard_normal((rows, 1)))
        weights[name] = (scale * rng.standard_normal((rows, columns))).astype("float32")
    return weights


def draw(path: Path) -> None:
    """Write the picture.

    Parameters
    ----------
    path : Path
        Where to write the PNG.
    """
    weights = network()
    sizes = [np.abs(w) for w in weights.values()]
    norm = LogNorm(0.01, max(float(w.max()) for w in sizes), clip=True)
    # Blues, without those that could be taken for white.
    colours = ListedColormap(mpl.colormaps["Blues"](np.linspace(0.3, 1, 256)))
    colours.set_bad(PRUNED)
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(11.2, 4.9))
        grid = figure.add_gridspec(
            len(SHAPES),
            len(ASKED),
            height_ratios=[rows / columns for rows, columns in SHAPES.values()],
            left=0.09, right=0.995, top=0.885, bottom=0.145, wspace=0.09, hspace=0.22,
        )  # fmt: skip
        for column, (label, asked) in enumerate(ASKED.items()):
            masks = {name: np.ones(shape, bool) for name, shape in SHAPES.items()}
            if asked is not None:
                masks = multiprune.global_unstructured(weights, **asked).masks
            for row, (name, values) in enumerate(weights.items()):
                axes = figure.add_subplot(grid[row, column])
                shown = np.ma.masked_array(np.abs(values), ~masks[name])
                image = axes.imshow(shown, cmap=colours, norm=norm, interpolation="nearest")
                _frame(axes, float((~masks[name]).mean()))
                if row == 0:
                    axes.annotate(
                        label, (0.5, 1), (0, 21), "axes fraction", "offset points",
                        ha="center", family="monospace", weight="bold", fontsize=8.8,
                    )  # fmt: skip
                if column == 0:
                    shape = "x".join(map(str, values.shape))
                    typical = f"median {np.median(np.abs(values)):.1g}"
                    words = f"{name}\n{shape}\n{typical}"
                    axes.set_ylabel(words, rotation=0, ha="right", va="center")
        beside = figure.add_axes((0.42, 0.07, 0.3, 0.022))
        bar = figure.colorbar(image, cax=beside, orientation="horizontal")
        bar.set_ticks([0.01, 0.1, 1], labels=["0.01", "0.1", "1"])
        bar.ax.xaxis.set_minor_locator(NullLocator())
        bar.outline.set_linewidth(0.7)
        figure.text(0.41, 0.081, "kept, by magnitude", ha="right", va="center")
        key = [Patch(facecolor=PRUNED, edgecolor=LINE, label="pruned")]
        figure.legend(handles=key, frameon=False, loc="center left", bbox_to_anchor=(0.74, 0.081))
        figure.savefig(path, dpi=150, facecolor="white")


def _frame(axes: Axes, pruned: float) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    gone = pruned == 1
    axes.set_title(f"{100 * pruned:.0f} % pruned", fontsize=9.5, pad=4, color=RED if gone else INK)
    if gone:
        axes.text(
            0.5, 0.5, "collapsed", transform=axes.transAxes, ha="center", va="center", color=RED
        )


if __name__ == "__main__":
    draw(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_suffix(".png"))

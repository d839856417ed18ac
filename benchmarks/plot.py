"""The picture: how many times better than torch, and where the targets stand."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from benchmarks.readings import Outcome

# Told apart by every kind of colour blindness, and in grey; red is kept for warnings.
BLUE, GREY, RED, INK = "#2166ac", "#8c8c8c", "#b2182b", "#333333"
_STYLE: dict[Any, Any] = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}
_TICKS = (0.25, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


def draw(
    path: Path, outcomes: Mapping[str, Outcome], labels: Mapping[str, str], title: str
) -> bool:
    """Write the bars of every row that compares with torch.

    Parameters
    ----------
    path : Path
        Where to write the PNG; its folder is made.
    outcomes : mapping of str to Outcome
        By the name of the row.
    labels : mapping of str to str
        What each row is called.
    title : str
        What ran, and where.

    Returns
    -------
    bool
        Whether there was anything to draw.
    """
    names = {**labels, "floor": "the floor: no more than writing the result"}
    bars = [
        (names[name].strip(), outcome, ratio, name == "floor")
        for name, outcome in outcomes.items()
        if (ratio := outcome.bar or outcome.ratio) is not None
    ]
    if not bars:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(11, 1.6 + 0.42 * len(bars)), layout="constrained")
        axes = figure.subplots()
        for place, (_, outcome, ratio, is_floor) in enumerate(bars):
            short = outcome.reached is False and not is_floor
            colour = GREY if is_floor else RED if short else BLUE
            axes.barh(place, ratio - 1, left=1, color=colour, height=0.66)
            # The numbers stand in a column of their own: beside the bars they would meet targets.
            number = f"{ratio:.1f}x" if ratio < 10 else f"{ratio:.0f}x"
            beside = axes.get_yaxis_transform()  # x in widths of the panel, y in data
            axes.text(1.05, place, number, ha="right", va="center", transform=beside)
            if outcome.least:
                low, high = place - 0.43, place + 0.43
                axes.plot([outcome.least] * 2, [low, high], color=INK, linewidth=2.6)
        axes.set_xscale("log")
        ratios = [ratio for _, _, ratio, _ in bars]
        axes.set_xlim(min(0.9, *ratios) * 0.9, max(2.0, *ratios) * 1.15)
        axes.xaxis.set_major_locator(FixedLocator(_TICKS))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda tick, _: f"{tick:g}x"))
        axes.set_yticks(range(len(bars)), [label for label, *_ in bars])
        axes.tick_params(axis="y", length=0)
        axes.axvline(1, color=INK, linewidth=1.2)
        axes.grid(axis="x", color=GREY, alpha=0.25)
        axes.set_axisbelow(True)
        axes.set_ylim(len(bars) - 0.4, -0.6)
        what = "torch.nn.utils.prune, or than what is named (time, or memory where it says so)"
        axes.set_xlabel(f"times better than {what}")
        axes.set_title(title, loc="left", fontsize=12, fontweight="bold", pad=26)
        handles = [Line2D([], [], color=BLUE, linewidth=7, label="multiprune")]
        if any(outcome.reached is False for _, outcome, _, _ in bars):
            handles.append(Line2D([], [], color=RED, linewidth=7, label="misses its target"))
        if any(outcome.least for _, outcome, _, _ in bars):
            handles.append(Line2D([], [], color=INK, linewidth=2.6, label="target"))
        axes.legend(
            handles=handles,
            frameon=False,
            fontsize=9,
            ncols=4,
            loc="lower left",
            bbox_to_anchor=(-0.01, 1.0),
            borderaxespad=0.2,
            handlelength=1.2,
        )
        figure.savefig(path, dpi=130, facecolor="white")
    return True

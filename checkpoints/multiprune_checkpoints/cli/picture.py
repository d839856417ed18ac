"""Panels → pictures. One PNG of all, or an SVG of each; no window, no global state."""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from multiprune_checkpoints.analysis.view import Charts
from multiprune_checkpoints.cli import panels
from multiprune_checkpoints.cli.accuracy_curve import Curve

__all__ = ["draw_png", "draw_svgs"]

_Draw = Callable[[Axes], None]
_WIDTH, _PANEL, _CAPTION = 6.6, 3.9, 0.9
_ROW, _EDGES, _TALL = 0.2, 1.3, 9.0
"""Inches: of a panel, the text below it, a bar, what stands around bars, and many of them."""


def draw_svgs(portrait: Charts, curve: Curve | None) -> tuple[dict[str, bytes], ...]:
    """Draw each panel as an SVG of its own: the left column, then the right."""
    drawings = _drawings(portrait, curve)
    with _style():

        def draw(name: str, height: float) -> bytes:
            figure = Figure(figsize=(_WIDTH, height), layout=ConstrainedLayoutEngine())
            drawings[name](figure.subplots())
            return _save(figure, "svg", metadata={"Date": None, "Creator": None})

        return tuple(
            {name: draw(name, height) for name, height in column.items()}
            for column in _columns(portrait, list(drawings))
        )


def draw_png(portrait: Charts, curve: Curve | None) -> bytes:
    """Draw all panels in one picture, in the same places."""
    drawings = _drawings(portrait, curve)
    left, right = columns = _columns(portrait, list(drawings))
    rows = math.lcm(len(left), len(right) or 1)
    mosaic: Any = [
        [list(column)[row * len(column) // rows] for column in columns if column]
        for row in range(rows)
    ]
    with _style():
        layout = ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.12)
        size = _WIDTH * len(mosaic[0]), max(sum(left.values()), sum(right.values()))
        figure = Figure(figsize=size, layout=layout)
        for name, axes in figure.subplot_mosaic(mosaic).items():
            drawings[str(name)](axes)
        return _save(figure, "png", dpi=120, facecolor="white")


def _columns(portrait: Charts, names: list[str]) -> tuple[dict[str, float], dict[str, float]]:
    """Share panels out to two columns of about one height, and say how high each is."""
    others = [name for name in names if name != "sparsity"]
    rows = len(portrait.report.tensors)
    together = len(others) * (_PANEL + _CAPTION) - _CAPTION
    least, most = min(_EDGES + _ROW * rows, _TALL), _EDGES + 3.5 * _ROW * rows
    bars = max(least, min(together, most), _PANEL)
    left, right = {"sparsity": bars}, dict[str, float]()
    for name in others:
        shorter = right if _reach(right) < _reach(left) else left
        shorter[name] = _PANEL
    return left, right


def _reach(column: dict[str, float]) -> float:
    return sum(column.values()) + _CAPTION * len(column)


def _drawings(portrait: Charts, curve: Curve | None) -> dict[str, _Draw]:
    """Return what there is to draw."""
    drawings: dict[str, _Draw] = {"sparsity": partial(panels.sparsity, report=portrait.report)}
    if portrait.histogram is not None:
        drawings["weights"] = partial(panels.weights, portrait=portrait)
    if curve is not None:
        drawings["accuracy"] = partial(panels.accuracy, curve=curve, report=portrait.report)
    for number, item in enumerate(portrait.maps):
        drawings[f"blocks {number}"] = partial(panels.blocks, block_map=item)
    return drawings


@contextmanager
def _style() -> Iterator[None]:
    with mpl.rc_context(panels.STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")  # the browser has it
        yield


def _save(figure: Figure, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format=kind, **options)
    return file.getvalue()

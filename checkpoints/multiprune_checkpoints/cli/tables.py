"""How values are shown. Tables with bars on a terminal, aligned text elsewhere."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence

__all__ = ["bar", "natural", "percent", "plain", "shape_text", "show"]

_CELLS = 20


def bar(fraction: float, cells: int = _CELLS) -> str:
    """Return a bar for a fraction."""
    filled = round(fraction * cells)
    return (
        "█" * filled + "░" * (cells - filled)
        if _terminal()
        else "#" * filled + "." * (cells - filled)
    )


def percent(fraction: float) -> str:
    """Return a fraction as a percentage."""
    return f"{100 * fraction:.2f} %"


def shape_text(shape: Sequence[int]) -> str:
    """Return a shape as it is read aloud."""
    return "x".join(map(str, shape)) or "scalar"


def natural(name: str) -> list[tuple[int, str]]:
    """Return a key that sorts names as layers follow each other: 2 before 10."""
    parts = re.split(r"(\d+)", name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


def show(heads: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> None:
    """Print a table; `right` says which columns hold numbers. Red is for warnings only."""
    if _terminal():
        _show_rich(heads, rows, right)
        return
    table = [list(map(plain, row)) for row in [heads, *rows]]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        cells = [
            cell.rjust(width) if i in right else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        print("  ".join(cells).rstrip())


def _show_rich(heads: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[int]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for i, head in enumerate(heads):
        table.add_column(head, justify="right" if i in right else "left", overflow="fold")
    for row in rows:
        warned = any(word in row[-1] for word in ("collapsed", "finite"))
        cells = [Text(plain(cell)) for cell in row]
        if warned:
            cells[-1].stylize("bold red")
        table.add_row(*cells)
    Console().print(table)


def plain(text: str) -> str:
    """Make names from files harmless: control characters move no cursor and ring no bell."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _terminal() -> bool:
    return sys.stdout.isatty()

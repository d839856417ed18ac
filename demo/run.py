"""Run the demo: ``python demo/run.py``.

Prunes a pretrained sentence encoder at three levels and compares the masks with those of NumPy,
torch, JAX and torch's own module; trains, prunes and fine-tunes a small network; leaves a picture.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

# Started as a file, Python looks for modules beside it; the demo is a package one folder up.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from demo import digits, fetch, minilm, picture, tables

PICTURE = Path(__file__).with_name("out") / "report.png"
_WIDTH_IN_A_FILE = 118


def main() -> int:
    """Run every part that can run here.

    Returns
    -------
    int
        The exit status: 0, or 1 if masks differ outside the ties or a download is not the file
        whose hash is pinned. No network is not a failure: what was skipped is said.
    """
    started = time.perf_counter()
    console = Console()
    if not console.is_terminal:
        console = Console(width=_WIDTH_IN_A_FILE)
    progress = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    with progress:
        task = progress.add_task("MiniLM: 84 MB, once", total=None)
        try:
            pretrained = fetch.minilm()
        except fetch.TamperedError as error:
            console.print(f"[bold red]Stopped:[/] {escape(str(error))}")
            return 1
        except fetch.FetchError as error:
            pretrained = None
            console.print(f"[yellow]Skipped: MiniLM.[/] No weights: {escape(str(error))}")
        fetched = time.perf_counter()
        progress.update(task, total=digits.STEPS + (minilm.STEPS if pretrained else 0), completed=0)
        step = _stepper(progress, task)
        model = minilm.study(pretrained, step) if pretrained else None
        curve = digits.study(step)
        progress.update(task, description="drawing")
        picture.draw(PICTURE, curve, model)
    if model is not None:
        tables.show_minilm(console, model)
    console.rule("The digits: a network trained, pruned and fine-tuned")
    if model is None:
        tables.show_report(console, curve.report)
    tables.show_digits(console, curve)
    spent = time.perf_counter()
    console.print(f"\nPicture: [bold]{_shown(PICTURE)}[/]")
    console.print(f"{spent - fetched:.0f} s, after {fetched - started:.0f} s for the weights")
    if model is not None and model.failures:
        console.print("[bold red]Masks differ outside the ties: see the table above.[/]")
        return 1
    return 0


def _stepper(progress: Progress, task: TaskID) -> Callable[[str], None]:
    """Return a function that ends the step before, if any, and names the next."""
    begun = False

    def step(words: str) -> None:
        nonlocal begun
        progress.update(task, description=words, advance=1 if begun else 0)
        begun = True

    return step


def _shown(path: Path) -> Path:
    try:
        return path.relative_to(Path.cwd())
    except ValueError:
        return path


if __name__ == "__main__":
    raise SystemExit(main())

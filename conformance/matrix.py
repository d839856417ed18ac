"""The matrix, implementations by clauses: `python conformance/matrix.py [NAME ...]`.

Each implementation is judged in a process of its own, as `python -m multiprune_conformance run`
does it. The table goes to the terminal, by chapters; the page and the data, by clauses, to
`conformance/out/`. The exit code is 1 if anything is red.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from html import escape
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from multiprune_conformance.loader import Clause, load
from multiprune_conformance.page import STYLE
from multiprune_conformance.report import BAD

Json = dict[str, Any]
HERE = Path(__file__).parent
OUT = HERE / "out"
STYLE += """
body{max-width:none}table{border-collapse:collapse;font-size:13px}
th,td{border:1px solid var(--mute);padding:.1rem .5rem;text-align:center}
th:first-child,td:first-child{text-align:left}thead th{position:sticky;top:0;background:Canvas}
td.ok{color:var(--ok)}td.bad{background:var(--bad);color:#fff}td.known{color:var(--known)}
"""


@dataclass(frozen=True)
class Judged:
    """One column: an implementation, and what it needs to be there."""

    name: str
    door: tuple[str, ...]
    needs: tuple[str, ...] = ()

    @property
    def missing(self) -> str:
        """What it needs and this machine has not, or nothing."""
        found = {n: shutil.which(n) if n == "node" else find_spec(n) for n in self.needs}
        return ", ".join(name for name, place in found.items() if place is None)


ARRAYS, TREES = (
    "multiprune_conformance.examples.multiprune_arrays",
    "multiprune_conformance.examples.multiprune_jax_trees",
)
DEVIATIONS = ("--deviations", "torch-2.13")
COLUMNS = (
    Judged("NumPy", ("--adapter", f"{ARRAYS}:OnNumpy")),
    Judged(
        "NumPy, other ways",
        ("--adapter", "multiprune_conformance.examples.multiprune_other_ways:OtherWays"),
    ),
    Judged(
        "NumPy, in shards",
        ("--adapter", "multiprune_conformance.examples.multiprune_shards:InShards"),
    ),
    Judged("torch", ("--adapter", f"{ARRAYS}:OnTorch"), ("torch",)),
    Judged(
        "torch drop-in",
        ("--adapter", "multiprune_conformance.examples.multiprune_torch_prune:DropIn"),
        ("torch",),
    ),
    Judged("JAX", ("--adapter", f"{TREES}:OnJax"), ("jax",)),
    Judged("JAX, jit", ("--adapter", f"{TREES}:UnderJit"), ("jax",)),
    Judged("array-api-strict", ("--adapter", f"{ARRAYS}:OnStrict"), ("array_api_strict",)),
    Judged("Node", ("--command", "node multiprune_conformance/examples/node/impl.js"), ("node",)),
    Judged(
        "stock torch",
        ("--adapter", "multiprune_conformance.examples.torch_prune:TorchPrune", *DEVIATIONS),
        ("torch",),
    ),
)


def judge(column: Judged) -> Json | str:
    """Return the report on an implementation, or why there is none."""
    if column.missing:
        return f"{column.missing} is not on this machine"
    report = OUT / f"{column.name.replace(', ', '-').replace(' ', '-')}.json"
    report.unlink(missing_ok=True)
    command = [sys.executable, "-m", "multiprune_conformance", "run", *column.door]
    pages = ["--json", str(report), "--html", str(report.with_suffix(".html"))]
    done = subprocess.run([*command, *pages], cwd=HERE, capture_output=True, text=True)
    if not report.exists():
        return f"the judge ended with {done.returncode}: {done.stderr.strip()[-300:]}"
    found: Json = json.loads(report.read_text(encoding="utf-8"))
    return found


def cell(rows: list[dict[str, int]]) -> tuple[str, str]:
    """Return what a cell says of some clauses, and its colour."""
    count = {v: sum(row[v] for row in rows) for v in ("pass", "xfail", *BAD)}
    bad = sum(count[verdict] for verdict in BAD)
    if bad:
        return f"{bad} RED", "bad"
    if count["xfail"]:
        return f"{count['pass']} ~{count['xfail']}", "known"
    return (str(count["pass"]), "ok") if count["pass"] else ("-", "none")


def rows_of(report: Json, clauses: list[str]) -> list[dict[str, int]]:
    """Return the counts of verdicts of these clauses."""
    return [report["clauses"][clause] for clause in clauses if clause in report["clauses"]]


def as_table(reports: dict[str, Json], clauses: dict[str, Clause]) -> str:
    """Return the matrix by chapters, for a terminal."""
    areas = dict.fromkeys(clause.split("-")[0] for clause in clauses)
    lines = [["", *reports]]
    for area in areas:
        inside = [clause for clause in clauses if clause.startswith(f"{area}-")]
        lines.append([area, *(cell(rows_of(report, inside))[0] for report in reports.values())])
    lines.append(["vectors", *(_total(report) for report in reports.values())])
    lines.append(["", *("green" if report["green"] else "RED" for report in reports.values())])
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(part.rjust(width) for part, width in zip(line, widths, strict=True))
        for line in lines
    )


def _total(report: Json) -> str:
    known = report["counts"]["xfail"]
    return f"{report['counts']['pass']}{f' ~{known}' if known else ''}"


def as_page(reports: dict[str, Json], absent: dict[str, str], clauses: dict[str, Clause]) -> str:
    """Return the matrix by clauses, as a page."""
    heads = "".join(
        f"<th><a href='{escape(name.replace(', ', '-').replace(' ', '-'))}.html'>{escape(name)}"
        f"</a><br><span class='{'green' if report['green'] else 'red'}'>{_total(report)}</span>"
        for name, report in reports.items()
    )
    lines = [
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Conformance</title>',
        f"<style>{STYLE}</style><h1>Implementations and clauses</h1>",
        "<p>Numbers are vectors that pass; ~ counts known deviations; - is undeclared.</p>",
        *(f"<p>{escape(name)}: {escape(why)}</p>" for name, why in absent.items()),
        f"<table><thead><tr><th>clause{heads}</tr></thead>",
    ]
    for clause in clauses.values():
        if clause.untestable:
            continue
        cells = [cell(rows_of(report, [clause.id])) for report in reports.values()]
        shown = "".join(f"<td class='{colour}'>{text}" for text, colour in cells)
        told = escape(clause.text, quote=True)
        lines.append(f'<tr><td title="{told}">{clause.id} {clause.level.lower()}{shown}</tr>')
    return "\n".join([*lines, "</table></html>", ""])


def main() -> int:
    """Judge all implementations, or those that are named, and return the exit code."""
    parser = argparse.ArgumentParser("conformance/matrix.py", description=__doc__)
    names = [column.name for column in COLUMNS]
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {'; '.join(names)}")
    chosen = parser.parse_args().names or names
    if unknown := set(chosen) - set(names):
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    OUT.mkdir(exist_ok=True)
    columns = [column for column in COLUMNS if column.name in chosen]
    with ThreadPoolExecutor(2) as pool:
        judged = dict(zip([c.name for c in columns], pool.map(judge, columns), strict=True))
    reports = {name: found for name, found in judged.items() if isinstance(found, dict)}
    absent = {name: found for name, found in judged.items() if isinstance(found, str)}
    clauses = load().clauses
    print(as_table(reports, clauses))
    print("\nNumbers are vectors that pass; ~ counts known deviations; - is undeclared.")
    for name, why in absent.items():
        print(f"{name}: {why}")
    (OUT / "matrix.html").write_text(as_page(reports, absent, clauses), encoding="utf-8")
    kept = ("green", "implementation", "profiles", "counts", "clauses")
    data = {name: {key: report[key] for key in kept} for name, report in reports.items()}
    (OUT / "matrix.json").write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    print(f"page: {OUT / 'matrix.html'}")
    broken = [name for name, why in absent.items() if "not on this machine" not in why]
    return 0 if not broken and all(report["green"] for report in reports.values()) else 1


if __name__ == "__main__":
    sys.exit(main())

"""The command line: run, list, show, export, check, serve. Exit codes 0, 1, 2."""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from multiprune_conformance import __version__
from multiprune_conformance.check import check
from multiprune_conformance.description import Usage
from multiprune_conformance.doors import Process, adapter, serve
from multiprune_conformance.judge import Outcome, judge
from multiprune_conformance.loader import EXPORTED, HERE, Suite, load
from multiprune_conformance.page import as_html
from multiprune_conformance.report import as_json, as_junit, as_text, dump

REPORTS: dict[str, Callable[[Outcome, str], str]] = {
    "json": lambda outcome, door: dump(as_json(outcome, door)),
    "junit": lambda outcome, door: as_junit(outcome),
    "html": as_html,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns
    -------
    int
        0 green, 1 a failure, 2 a request that cannot be met.
    """
    options = _parser().parse_args(arguments)
    try:
        code: int = options.do(options)
    except BrokenPipeError:
        return 0
    except (Usage, OSError) as error:
        print(f"multiprune-conformance: {error}", file=sys.stderr)
        return 2
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("multiprune-conformance", description=__doc__)
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="judge an implementation")
    door = run.add_mutually_exclusive_group(required=True)
    door.add_argument("--command", help="a command that speaks JSON lines (PROTOCOL.md)")
    door.add_argument("--adapter", help="a Python class, as package.module:Class")
    run.add_argument("--deviations", type=Path, help="a file of known deviations, or torch-2.13")
    run.add_argument("--timeout", type=_seconds, default=10.0, help="seconds for one answer")
    run.add_argument("--failures", type=int, default=5, help="how many failures to show")
    for form in REPORTS:
        run.add_argument(f"--{form}", type=Path, help=f"write the report as {form}")
    run.set_defaults(do=_run)
    lists = commands.add_parser("list", help="list vectors")
    lists.set_defaults(do=_list)
    for each in (run, lists):
        each.add_argument("only", nargs="*", metavar="ID",
                          help="vectors, by id or its beginning, clause or profile")  # fmt: skip
    show = commands.add_parser("show", help="show a vector or a clause")
    show.add_argument("id", metavar="ID")
    show.set_defaults(do=_show)
    export = commands.add_parser("export", help="copy specification, schemas and vectors")
    export.add_argument("folder", type=Path, metavar="DIR")
    export.set_defaults(do=_export)
    checks = commands.add_parser("check", help="check the suite itself")
    checks.add_argument("folder", type=Path, nargs="?", default=HERE)
    checks.set_defaults(do=_check)
    serves = commands.add_parser("serve", help="put a Python adapter behind the process door")
    serves.add_argument("--adapter", required=True)
    serves.set_defaults(do=_serve)
    return parser


def _selected(only: list[str]) -> Suite:
    try:
        return load().select(only)
    except ValueError as error:
        raise Usage(str(error)) from error


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a time above 0")
    return seconds


def _run(options: argparse.Namespace) -> int:
    suite, deviations = _selected(options.only), _deviations(options.deviations)
    paths = {form: path for form in REPORTS if (path := getattr(options, form))}
    for path in paths.values():  # now, not when all is judged
        if not path.parent.is_dir() or path.is_dir():
            raise Usage(f"{path} cannot be written: it is a file in a folder that exists")
    sys.path.insert(0, str(Path.cwd()))  # an adapter lies where its author works
    if options.command is None:
        outcome = judge(suite, adapter(options.adapter), deviations)
        door = f"--adapter {shlex.quote(options.adapter)}"
    else:
        process = Process(options.command, options.timeout)
        try:
            outcome = judge(suite, process, deviations)
        finally:
            process.close()
        door = f"--command {shlex.quote(options.command)}"
    for form, path in paths.items():
        path.write_text(REPORTS[form](outcome, door), encoding="utf-8")
    print(as_text(outcome, door, options.failures))
    if not outcome.judged:
        raise Usage("nothing was judged: every vector is skipped. Declare what is implemented")
    return 0 if outcome.green else 1


def _deviations(path: Path | None) -> dict[str, str]:
    if path is None:
        return {}
    shipped = HERE / "known_deviations" / f"{path}.json"
    if not path.exists() and shipped.exists():
        path = shipped
    try:
        file: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        known = {i: _reason(group) for group in file["deviations"] for i in group["ids"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Usage(f"unreadable deviations {path}: {error}") from error
    if unknown := set(known) - {vector["id"] for vector in load().vectors}:
        raise Usage(f"deviations of vectors that do not exist: {', '.join(sorted(unknown))}")
    return known


def _reason(group: dict[str, Any]) -> str:
    return f"{group['reason']} <{group['link']}>" if "link" in group else str(group["reason"])


def _list(options: argparse.Namespace) -> int:
    for vector in _selected(options.only).vectors:
        print(f"{vector['id']:44} {vector['profile']:14} {vector['title']}")
    return 0


def _show(options: argparse.Namespace) -> int:
    suite = load()
    if clause := suite.clauses.get(options.id):
        print(f"{clause.id} {clause.level} {clause.profile}\n{clause.text}")
        return 0
    for vector in suite.vectors:
        if vector["id"] == options.id:
            print(json.dumps(vector, indent=1))
            for flag in vector["flags"]:
                print(f"{flag} hunts {suite.notes[flag]['hunts']}: {suite.notes[flag]['effect']}")
            return 0
    raise Usage(f"no vector or clause {options.id}")


def _export(options: argparse.Namespace) -> int:
    for name in EXPORTED:
        if (options.folder / name).exists():
            raise Usage(f"{options.folder / name} exists; export into a new folder")
    options.folder.mkdir(parents=True, exist_ok=True)
    for name in EXPORTED:
        source, target = HERE / name, options.folder / name
        if source.is_dir():
            shutil.copytree(source, target)
        else:
            shutil.copy(source, target)
    print(f"{len(load(options.folder).vectors)} vectors in {options.folder}")
    return 0


def _serve(options: argparse.Namespace) -> int:
    sys.path.insert(0, str(Path.cwd()))
    return serve(adapter(options.adapter))


def _check(options: argparse.Namespace) -> int:
    faults = check(options.folder)
    print("\n".join(faults) or "the suite is in order")
    return 1 if faults else 0

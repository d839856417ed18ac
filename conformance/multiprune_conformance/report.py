"""The report: counts, a table by clause, first failures with a reproduction; JSON and JUnit."""

from __future__ import annotations

import json
import shlex
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from multiprune_conformance.judge import VERDICTS, Outcome, Verdict

Json = dict[str, Any]
BAD = ("fail", "error", "xpass")


def by_clause(outcome: Outcome) -> dict[str, dict[str, int]]:
    """Return the counts of verdicts for each clause that has a vector.

    A vector that passes shows every clause that it cites. One that does not is held against the
    clause that it is about; against another only where no vector is about that one (deviations).
    """
    table: dict[str, dict[str, int]] = {}
    own = {clause_of(each) for each in outcome.verdicts}
    for verdict in outcome.verdicts:
        for clause in verdict.vector["clauses"]:
            row = table.setdefault(clause, dict.fromkeys(VERDICTS, 0))
            shown = verdict.verdict in ("pass", "skip")
            if shown or clause == clause_of(verdict) or clause not in own:
                row[verdict.verdict] += 1
    order = list(outcome.suite.clauses)
    return dict(sorted(table.items(), key=lambda item: order.index(item[0])))


def clause_of(verdict: Verdict) -> str:
    """Return the clause that a vector is about first of all."""
    ident: str = verdict.vector["id"]
    return ident.partition("/")[0]


def reproduction(verdict: Verdict, door: str) -> str:
    """Return a command to paste that puts one vector to the implementation again."""
    return f"python -m multiprune_conformance run {door} {shlex.quote(verdict.vector['id'])}"


def as_json(outcome: Outcome, door: str) -> Json:
    """Return the report as data; schema/report.schema.json describes it."""
    verdicts = []
    for each in outcome.verdicts:
        item = {
            "id": each.vector["id"],
            "verdict": each.verdict,
            "profile": each.vector["profile"],
            "clauses": each.vector["clauses"],
        }
        if each.verdict != "pass":
            item["detail"] = each.detail
        if each.verdict in BAD:
            item |= {"expected": each.vector["expect"], "got": each.got}
            item["reproduce"] = reproduction(each, door)
        verdicts.append(item)
    return {
        "format": 1,
        "suite": outcome.suite.version,
        "green": outcome.green,
        "implementation": outcome.description["implementation"],
        "profiles": outcome.description["profiles"],
        "counts": {verdict: outcome.count(verdict) for verdict in VERDICTS},
        "clauses": by_clause(outcome),
        "verdicts": verdicts,
    }


def as_junit(outcome: Outcome) -> str:
    """Return the report as JUnit XML, one case for each vector."""
    bad = sum(outcome.count(verdict) for verdict in ("fail", "xpass"))
    lines = [
        '<?xml version="1.0" encoding="utf-8"?>',
        f'<testsuite name="multiprune-conformance" tests="{len(outcome.verdicts)}" '
        f'failures="{bad}" errors="{outcome.count("error")}" '
        f'skipped="{outcome.count("skip") + outcome.count("xfail")}">',
    ]
    for each in outcome.verdicts:
        clause, _, name = each.vector["id"].partition("/")
        head = f"  <testcase classname={quoteattr(clause)} name={quoteattr(name)}"
        tag = {"fail": "failure", "xpass": "failure", "error": "error"}.get(each.verdict, "skipped")
        if each.verdict == "pass":
            lines.append(f"{head}/>")
        else:
            detail = "".join(c for c in each.detail if c.isprintable())
            lines.append(f"{head}><{tag} message={quoteattr(each.verdict)}>{escape(detail)}"
                         f"</{tag}></testcase>")  # fmt: skip
    return "\n".join([*lines, "</testsuite>", ""])


def as_text(outcome: Outcome, door: str, failures: int = 5) -> str:
    """Return the report for a terminal."""
    who = outcome.description["implementation"]
    lines = [
        f"{who['name']} {who['version']} ({who['language']}), suite {outcome.suite.version}, "
        f"profiles {', '.join(outcome.description['profiles'])}",
        "",
    ]
    lines += _areas(outcome)
    notes = outcome.suite.notes
    for each in [verdict for verdict in outcome.verdicts if verdict.verdict in BAD][:failures]:
        lines += ["", f"{each.verdict.upper()} {each.vector['id']}: {each.vector['title']}"]
        lines += [f"  {each.detail}"]
        lines += [
            f"  hunts {notes[flag]['hunts']}: {notes[flag]['effect']}"
            for flag in each.vector["flags"]
        ]
        lines += [f"  again: {reproduction(each, door)}"]
    counts = ", ".join(f"{outcome.count(v)} {v}" for v in VERDICTS if outcome.count(v))
    lines += ["", f"{'green' if outcome.green else 'RED'}: {counts or 'nothing was run'}"]
    return "\n".join(lines)


def _areas(outcome: Outcome) -> list[str]:
    """Return one line for each area, naming the clauses with failures."""
    table = by_clause(outcome)
    lines = []
    for area in dict.fromkeys(clause.split("-")[0] for clause in table):
        rows = {clause: row for clause, row in table.items() if clause.startswith(f"{area}-")}
        declared = {c: r for c, r in rows.items() if any(r[v] for v in VERDICTS if v != "skip")}
        broken = [clause for clause, row in declared.items() if any(row[v] for v in BAD)]
        known = [c for c, row in declared.items() if row["xfail"] and c not in broken]
        line = f"{len(declared) - len(broken):4} of {len(declared):3} clauses hold"
        if undeclared := len(rows) - len(declared):
            line += f", {undeclared} undeclared"
        if broken:
            line += f"; broken: {', '.join(broken)}"
        if known:
            line += f"; with known deviations: {', '.join(known)}"
        lines.append(f"  {area:6}{line}")
    return lines


def dump(report: Json) -> str:
    """Return a report as the text of its file."""
    return json.dumps(report, indent=1, ensure_ascii=True) + "\n"

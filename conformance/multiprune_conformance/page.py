"""The report as one page of HTML: no script, no network, readable in both colour schemes."""

from __future__ import annotations

import re
from html import escape

from multiprune_conformance.judge import VERDICTS, Outcome, Verdict
from multiprune_conformance.report import BAD, by_clause, clause_of, reproduction

STYLE = """
:root{color-scheme:light dark;--ok:#2e7d4f;--bad:#c0392b;--known:#b7791f;--mute:#8884}
body{font:15px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.6rem;margin:0}h2{margin:2rem 0 .6rem;font-size:1.15rem}
.sum{display:flex;gap:.8rem;flex-wrap:wrap;margin:1rem 0}
.sum div{border:1px solid var(--mute);border-radius:.6rem;padding:.5rem 1rem;text-align:center}
.sum b{display:block;font-size:1.5rem}.state{font-weight:700}
.green{color:var(--ok)}.red{color:var(--bad)}
.bar{display:flex;height:.7rem;border-radius:.35rem;overflow:hidden;background:var(--mute)}
i.ok{background:var(--ok)}i.bad{background:var(--bad)}i.known{background:var(--known)}
.area{display:grid;grid-template-columns:4.2rem 1fr;margin:.3rem 0}
.area div{display:flex;gap:.35rem;flex-wrap:wrap;align-items:center}
.c{border-radius:.3rem;padding:.05rem .4rem;font:12px/1.6 ui-monospace,monospace;color:#fff}
a.c{text-decoration:none}h3{margin:1.4rem 0 .3rem;font-size:1rem;font-weight:400}
h3 b{font-weight:700;margin-right:.4rem}
.c.ok{background:var(--ok)}.c.bad{background:var(--bad)}.c.known{background:var(--known)}
.c.none{background:none;color:inherit;border:1px solid var(--mute)}
details{border:1px solid var(--mute);border-radius:.5rem;margin:.4rem 0;padding:.4rem .8rem}
summary{cursor:pointer}code,pre{font:12.5px/1.5 ui-monospace,monospace}
pre{white-space:pre-wrap;overflow-wrap:anywhere}
"""


def as_html(outcome: Outcome, door: str) -> str:
    """Return the page: counts, a map of clauses, and every failure with its reproduction."""
    who = outcome.description["implementation"]
    title = f"{who['name']} {who['version']}"
    state = "green" if outcome.green else "red"
    counts = "".join(
        f"<div><b>{outcome.count(verdict)}</b>{verdict}</div>"
        for verdict in VERDICTS
        if outcome.count(verdict)
    )
    parts = [
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}: '
        f"conformance</title><style>{STYLE}</style>",
        f"<h1>{escape(title)} <span class='state {state}'>{state}</span></h1>",
        f"<p>{escape(who['language'])}; global pruning, suite {outcome.suite.version}; profiles "
        f"{escape(', '.join(outcome.description['profiles']))}</p>",
        f"<div class='sum'>{counts}</div>{_bar(outcome)}<h2>Clauses</h2>",
        *_map(outcome),
        *_list(outcome, door),
    ]
    return "\n".join(parts) + "</html>\n"


def _bar(outcome: Outcome) -> str:
    """Return the shares of what was asked: right, known to be wrong, wrong."""
    shares = {"ok": ("pass",), "known": ("xfail",), "bad": BAD}
    widths = {colour: sum(map(outcome.count, verdicts)) for colour, verdicts in shares.items()}
    parts = (f"<i class={colour} style=flex:{n}></i>" for colour, n in widths.items() if n)
    return f"<div class=bar>{''.join(parts)}</div>"


def _map(outcome: Outcome) -> list[str]:
    """Return one row of coloured clause ids for each area."""
    table, lines = by_clause(outcome), []
    below = {clause_of(each) for each in outcome.verdicts if each.verdict in (*BAD, "xfail")}
    for area in dict.fromkeys(clause.split("-")[0] for clause in table):
        cells = []
        for clause, row in table.items():
            if not clause.startswith(f"{area}-"):
                continue
            colour = "bad" if any(row[v] for v in BAD) else "known" if row["xfail"] else "ok"
            if not any(row[v] for v in VERDICTS if v != "skip"):
                colour = "none"
            tooltip = f"{outcome.suite.clauses[clause].text} " + ", ".join(
                f"{n} {v}" for v, n in row.items() if n
            )
            number = clause.split("-")[1]
            link = f" href='#{clause}'" if clause in below else ""
            cells.append(f"<a class='c {colour}'{link} title=\"{escape(tooltip)}\">{number}</a>")
        lines.append(f"<div class=area><b>{area}</b><div>{''.join(cells)}</div></div>")
    lines.append("<p>green holds, red is broken, amber is a known deviation, bare undeclared.</p>")
    return lines


def _list(outcome: Outcome, door: str) -> list[str]:
    """Return what is wrong, under the sentence of the clause that it is about."""
    lines: list[str] = []
    for heading, chosen in (("Failures", BAD), ("Known deviations", ("xfail",))):
        verdicts = [verdict for verdict in outcome.verdicts if verdict.verdict in chosen]
        if not verdicts:
            continue
        lines.append(f"<h2>{heading}: {len(verdicts)}</h2>")
        about = {clause_of(each) for each in verdicts}
        for clause in (clause for clause in outcome.suite.clauses.values() if clause.id in about):
            lines.append(f"<h3 id={clause.id}><b>{clause.id}</b>{_text(clause.text)}</h3>")
            lines += [
                _details(outcome, door, each) for each in verdicts if clause_of(each) == clause.id
            ]
    return lines


def _text(sentence: str) -> str:
    return re.sub("`([^`]+)`", r"<code>\1</code>", escape(sentence))


def _details(outcome: Outcome, door: str, each: Verdict) -> str:
    notes = [outcome.suite.notes[flag] for flag in each.vector["flags"]]
    hunts = "; ".join(f"{note['hunts']}: {note['effect']}" for note in notes)
    return (
        f"<details><summary><code>{escape(each.vector['id'])}</code> "
        f"{escape(each.vector['title'])}</summary><p>"
        f"{escape(', '.join(each.vector['clauses']))}. Hunts {escape(hunts)}.</p>"
        f"<pre>{escape(each.detail)}\n\n{escape(reproduction(each, door))}</pre></details>"
    )

"""A report as one page of HTML. It holds its pictures, loads nothing and runs nothing."""

from __future__ import annotations

from base64 import b64encode
from html import escape

from multiprune.report import COLLAPSE
from multiprune_checkpoints.analysis.view import Charts
from multiprune_checkpoints.cli.accuracy_curve import Curve
from multiprune_checkpoints.cli.tables import natural, percent, plain, shape_text

__all__ = ["page"]

_STYLE = """
:root { color-scheme: light; --ink: #222; --soft: #5f6670; --line: #dfe2e6; --red: #b2182b; }
* { box-sizing: border-box; }
body { margin: 0; background: #f5f6f8; color: var(--ink);
       font: 16px/1.5 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }
main { max-width: 90rem; margin: 0 auto; padding: 2rem 1.5rem 3rem; }
h1 { font-size: 1.6rem; margin: 0; }
h2 { font-size: 1.1rem; margin: 2rem 0 .6rem; }
.path { margin: .2rem 0 1.2rem; color: var(--soft); overflow-wrap: anywhere; }
dl.facts { display: flex; flex-wrap: wrap; gap: .8rem; margin: 0 0 1.2rem; }
dl.facts div { background: #fff; border: 1px solid var(--line); border-radius: .5rem;
               padding: .6rem 1.1rem; }
dl.facts dt { color: var(--soft); font-size: .85rem; }
dl.facts dd { margin: 0; font-size: 1.35rem; font-weight: 600;
              font-variant-numeric: tabular-nums; }
.warning, dl.facts .warning dd { color: var(--red); }
.panels { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(34rem, 100%), 1fr));
          gap: 1rem; align-items: start; }
figure { margin: 0; background: #fff; border: 1px solid var(--line); border-radius: .5rem;
         padding: .9rem; }
.column { display: grid; gap: 1rem; }
img { display: block; width: 100%; height: auto; }
figcaption { color: var(--soft); font-size: .88rem; margin-top: .5rem; }
code { white-space: nowrap; }
.scroll { overflow-x: auto; background: #fff; border: 1px solid var(--line);
          border-radius: .5rem; }
table { border-collapse: collapse; width: 100%; font-size: .88rem; }
th, td { padding: .3rem .8rem; border-bottom: 1px solid #eceef1; text-align: left; }
tbody th { font-weight: 400; overflow-wrap: anywhere; }
tbody tr:last-child > * { border-bottom: 0; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.bar { width: 22%; }
.bar span { display: block; height: .7rem; background: #2166ac; border-radius: 2px; }
tr.warning .bar span { background: var(--red); }
footer { margin-top: 2rem; color: var(--soft); font-size: .85rem; overflow-wrap: anywhere; }
@media print { body { background: #fff; } figure, tr { break-inside: avoid; } }
"""


def page(portrait: Charts, pictures: tuple[dict[str, bytes], ...], curve: Curve | None) -> str:
    """Return the page.

    Parameters
    ----------
    portrait : Charts
    pictures : tuple of dict of bytes
        The columns, each of SVGs by the name of their panel.
    curve : Curve or None
    """
    said = _sayings(portrait, curve)
    columns = [
        "".join(_figure(svg, said[name]) for name, svg in column.items())
        for column in pictures
        if column
    ]
    panels = "".join(f'<div class="column">\n{figures}</div>\n' for figures in columns)
    title = f"{portrait.report.sparsity:.1%} pruned: {plain(portrait.path.rpartition('/')[2])}"
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
      content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{_text(title)}</title>
<style>{_STYLE}</style>
</head>
<body>
<main>
<h1>Pruning report</h1>
<p class="path">{_text(portrait.path)}</p>
{_facts(portrait)}
<div class="panels">
{panels}</div>
{_table(portrait)}
{_footer(portrait)}
</main>
</body>
</html>
"""


def _sayings(portrait: Charts, curve: Curve | None) -> dict[str, tuple[str, str]]:
    """Return what each picture shows: in short for who cannot see it, and how to read it."""
    report = portrait.report
    texts = {
        "sparsity": (
            f"Bars: how much of each of {len(report.tensors)} tensors is pruned, in the order of "
            f"the network; {len(report.collapsed)} collapsed. The numbers are in the table.",
            "In the order of the network. The line is the sparsity of all tensors together.",
        )
    }
    if histogram := portrait.histogram:
        where = "" if report.threshold is None else f", cut at magnitude {report.threshold:.4g}"
        texts["weights"] = (
            f"Histogram of the weights from {histogram.edges[0]:.3g} to {histogram.edges[-1]:.3g}"
            f"{where if portrait.threshold_shown else ''}; the pruned part is grey.",
            "Pruned entries are zero now. With --before, the checkpoint before its pruning, they "
            "are shown where they were."
            if histogram.zeros_only
            else "Grey is pruned, blue is kept, by the values before the pruning.",
        )
    if curve is not None:
        ends = "; ".join(f"{n}: {v[0]:.3g} to {v[-1]:.3g}" for n, v in curve.series.items())
        texts["accuracy"] = (
            f"Lines: what was measured from {curve.sparsity[0]:.0%} to {curve.sparsity[-1]:.0%} "
            f"sparsity. {ends}.",
            f"From {curve.source}; the dotted line is the sparsity of this checkpoint.",
        )
    for number, item in enumerate(portrait.maps):
        values = [share for row in item.kept for share in row]
        texts[f"blocks {number}"] = (
            f"Heat map of {item.name}: kept fractions of blocks, from {min(values):.0%} to "
            f"{max(values):.0%}.",
            f"Which parts of a tensor of {item.shape[0]:,} rows and {item.shape[1]:,} columns are "
            "kept. Bands are heads, rows or columns that matter more, or less.",
        )
    return texts


def _figure(svg: bytes, said: tuple[str, str]) -> str:
    alternative, caption = said
    data = b64encode(svg).decode()
    below = _text(caption).replace("--before", "<code>--before</code>")
    return (
        f'<figure><img alt="{_text(alternative)}" src="data:image/svg+xml;base64,{data}">'
        f"<figcaption>{below}</figcaption></figure>\n"
    )


def _facts(portrait: Charts) -> str:
    report = portrait.report
    facts = [
        ("pruned", percent(report.sparsity), ""),
        ("entries pruned", f"{report.pruned:,} of {report.size:,}", ""),
    ]
    if report.threshold is not None:
        facts.append(("threshold", f"{report.threshold:.6g}", ""))
    if report.ties > 1:
        facts.append(("tied there", f"{report.tied_pruned:,} of {report.ties:,} went", ""))
    if report.collapsed:
        facts.append(("collapsed", _many(len(report.collapsed), "tensor"), "warning"))
    if odd := sum(t.non_finite for t in report.tensors):
        facts.append(("not finite", f"{odd:,} entries", "warning"))
    items = "".join(
        f'<div class="{kind}"><dt>{name}</dt><dd>{_text(value)}</dd></div>\n'
        for name, value, kind in facts
    )
    return f'<dl class="facts">\n{items}</dl>'


def _table(portrait: Charts) -> str:
    rows = "".join(
        f'<tr{" class=warning" if t.note else ""}><th scope="row">{_text(t.name)}</th>'
        f'<td class="number">{_text(shape_text(t.shape))}</td><td class="number">{t.size:,}</td>'
        f'<td class="number">{percent(t.sparsity)}</td>'
        f'<td class="bar"><span style="width:{100 * t.sparsity:.2f}%"></span></td>'
        f"<td>{_text(t.note)}</td></tr>\n"
        for t in sorted(portrait.report.tensors, key=lambda t: natural(t.name))
    )
    return f"""<h2>All tensors</h2>
<div class="scroll" tabindex="0" role="region" aria-label="All tensors"><table>
<thead><tr><th scope="col">tensor</th><th scope="col" class="number">shape</th>
<th scope="col" class="number">entries</th><th scope="col" class="number">pruned</th>
<th scope="col" class="bar"></th><th scope="col">note</th></tr></thead>
<tbody>
{rows}</tbody></table></div>
<p class="path">Not ranked: {_many(len(portrait.untouched), "other tensor")}. A tensor of which
{COLLAPSE:.0%} and more is pruned counts as collapsed: hardly anything passes through it.</p>"""


def _footer(portrait: Charts) -> str:
    items = ", ".join(f"{key} {text}" for key, text in sorted(portrait.provenance.items()))
    return f"<footer>{_text(items)}</footer>" if items else ""


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}{'s' * (count != 1)}"


def _text(text: str) -> str:
    return escape(plain(text))

"""What is mutated: mutmut's operators over the rooms of the algebra, one mutant at a time.

Messages and printing are left out: the text of errors, the table of a report, types and docs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import libcst as cst
from libcst.metadata import MetadataWrapper, PositionProvider
from mutmut.mutation.file_mutation import MutationVisitor
from mutmut.mutation.mutators import mutation_operators
from mutmut.mutation.pragma_handling import IgnoredCode

ROOT = Path(__file__).parents[2]
ALGEBRA = ROOT / "multiprune"
# Functions and names that only say something: what they hold is for readers.
TELLING = {
    ("keys.py", "_HINTS"),
    ("method_checks.py", "not_unstructured"),
    ("report.py", "Report.__str__"),
    ("report.py", "Report._headline"),
    ("report.py", "Report._warnings"),
}
TYPES = {"Array", "Bytes", "Shape", "Sum", "Under", "R"}  # names of types, never looked at
UNSEEN = TYPES | {"__all__", "__version__", ""}
# An assertion that lengths are equal: where it holds, as it always does, nothing depends on it.
STRICT = re.compile(r",? ?strict=\w+|, ?(?=\))")
# Calls of which one argument only names something in a message, and the place of that argument.
NAMING = {"_convertible": 1, "as_amount": 1, "check_mask": 2, "matching": 1}
NAMES = {"known", "hint"}  # of values that only messages show
# What decides no mask, and is out of the vectors' sight: reports, and the comparison of backends.
NO_MASKS = {"report.py", "verify.py", "verdict.py"}
NO_MASKS |= {f"plan.py Plan.{name}" for name in ("report", "threshold", "_sharing", "_held")}


class Everywhere(MutationVisitor):
    """Mutmut's choice of what to mutate, and decorated functions too: it cannot wrap those."""

    def _skip_node_and_children(self, node: cst.CSTNode) -> bool:
        decorated = isinstance(node, cst.FunctionDef) and node.decorators
        return not decorated and super()._skip_node_and_children(node)


@dataclass(frozen=True)
class Mutant:
    """One wrong version of one file.

    Attributes
    ----------
    owner : str
        The function, method, or name at the top level that is wrong.
    before, after : str
        The line, as it is and as it is not.
    source : str
        The whole file.
    """

    file: str
    owner: str
    line: int
    before: str
    after: str
    source: str

    @property
    def name(self) -> str:
        """How survivors are listed: it stays the same when lines move."""
        return f"{self.file} {self.owner}: {self.before} -> {self.after}"


def mutants_of(path: Path) -> Iterator[Mutant]:
    """Return every mutant of a file, in the order of its lines."""
    text = path.read_text(encoding="utf-8")
    visitor = Everywhere(mutation_operators, IgnoredCode(set(), set(), set()))
    wrapper = MetadataWrapper(cst.parse_module(text), unsafe_skip_copy=True)
    module = wrapper.visit(visitor)
    places = wrapper.resolve(PositionProvider)
    codes = [module.code_for_node(statement) for statement in module.body]
    head = text[: text.index(codes[0])]
    owners: dict[cst.CSTNode, str] = {}
    homes: dict[cst.CSTNode, int] = {}
    telling: set[cst.CSTNode] = set()
    for number, statement in enumerate(module.body):
        _mark(statement, "", owners, telling)
        homes |= dict.fromkeys(_walk(statement), number)
    for mutation in visitor.mutations:
        node = mutation.original_node
        owner = owners.get(node, "")
        if (
            node in telling
            or _only_names(node, mutation.mutated_node)
            or (path.name, owner) in TELLING
            or owner in UNSEEN
        ):
            continue
        number = homes[node]  # of the one statement at the top level to write anew
        wrong = module.body[number].deep_replace(node, mutation.mutated_node)
        code = module.code_for_node(wrong)
        if code == codes[number]:
            continue
        source = head + "".join([*codes[:number], code, *codes[number + 1 :]])
        start = places[node].start.line
        before, after = _lines(text, source)
        if STRICT.sub("", before) == STRICT.sub("", after):
            continue
        yield Mutant(path.name, owner, start, before, after, source)


def _mark(
    node: cst.CSTNode, owner: str, owners: dict[cst.CSTNode, str], telling: set[cst.CSTNode]
) -> None:
    """Note whom each node belongs to, and which ones only make the text of an error."""
    inside = owner
    if isinstance(node, cst.ClassDef | cst.FunctionDef):
        inside = f"{owner}.{node.name.value}" if owner else node.name.value
    elif not owner and isinstance(node, cst.Assign | cst.AnnAssign):
        target = node.target if isinstance(node, cst.AnnAssign) else node.targets[0].target
        inside = target.value if isinstance(target, cst.Name) else "a tuple"
    owners[node] = inside
    if isinstance(node, cst.Raise):
        telling.update(_walk(node) - _kinds(node))
    for child in node.children:
        if isinstance(node, cst.FunctionDef):
            _mark_all(child, inside, owners, telling)
        else:
            _mark(child, inside, owners, telling)


def _mark_all(
    node: cst.CSTNode, owner: str, owners: dict[cst.CSTNode, str], telling: set[cst.CSTNode]
) -> None:
    """Note the same of what lies in a function, nested ones included: all of it is its own."""
    owners[node] = owner
    if isinstance(node, cst.Raise):
        telling.update(_walk(node) - _kinds(node))
    if isinstance(node, cst.Call) and (place := _naming(node)) < len(node.args):
        telling.update(_walk(node.args[place]))
    if isinstance(node, cst.Param) and node.name.value == "name":
        telling.update(_walk(node))  # what a message calls a value
    if isinstance(node, cst.Assign) and isinstance(name := node.targets[0].target, cst.Name):
        telling.update(_walk(node) if name.value in NAMES else ())
    for child in node.children:
        _mark_all(child, owner, owners, telling)


def _naming(call: cst.Call) -> int:
    """Return the place of the argument of a call that only names something."""
    name = call.func.attr if isinstance(call.func, cst.Attribute) else call.func
    return NAMING.get(name.value, len(call.args)) if isinstance(name, cst.Name) else len(call.args)


def _only_names(node: cst.CSTNode, wrong: cst.CSTNode) -> bool:
    """Whether two calls differ in such an argument alone, changed or left out."""
    if not (isinstance(node, cst.Call) and isinstance(wrong, cst.Call)):
        return False
    place = _naming(node)
    old, new = ([arg.value for arg in call.args] for call in (node, wrong))
    if place >= len(old):
        return False
    if len(new) == len(old):
        new[place] = old[place]
        return new == old
    return new == old[:place] + old[place + 1 :]


def _walk(node: cst.CSTNode) -> set[cst.CSTNode]:
    return {node}.union(*(_walk(child) for child in node.children))


def _kinds(node: cst.CSTNode) -> set[cst.CSTNode]:
    """Return the nodes that give an error its kind, which is not text."""
    if isinstance(node, cst.Arg) and node.keyword and node.keyword.value == "kind":
        return _walk(node)
    return set().union(*(_kinds(child) for child in node.children))


def _lines(before: str, after: str) -> tuple[str, str]:
    """Return the lines in which two texts differ."""
    old, new = before.splitlines(), after.splitlines()
    top = 0
    while top < min(len(old), len(new)) and old[top] == new[top]:
        top += 1
    while old and new and len(min(old, new, key=len)) > top and old[-1] == new[-1]:
        old.pop()
        new.pop()
    first, second = (" ".join(" ".join(part[top:]).split()) for part in (old, new))
    return first, second

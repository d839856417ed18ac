"""The house stands: import directions, what the wheel holds, what an import loads."""

from __future__ import annotations

import ast
import os
import statistics
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STANDARD = set(sys.stdlib_module_names)
ROOMS = sorted((ROOT / "multiprune").glob("*.py"))


def imports(path: Path) -> set[str]:
    """Every module that a file imports, by full name."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: relative import"
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def roots(path: Path) -> set[str]:
    return {name.partition(".")[0] for name in imports(path)}


@pytest.mark.parametrize("path", ROOMS, ids=lambda p: p.stem)
def test_the_algebra_imports_only_the_standard_library_and_the_array_door(path):
    allowed = STANDARD | {"multiprune"}
    if path.stem == "_array":
        allowed |= {"array_api_compat"}
    assert roots(path) <= allowed


@pytest.mark.parametrize(
    ("package", "framework"), [("numpy", "ml_dtypes"), ("torch", "torch"), ("jax", "jax")]
)
def test_a_backend_imports_its_own_framework_and_no_other_backend(package, framework):
    folder = ROOT / "backends" / f"multiprune_{package}"
    files = sorted(folder.rglob("*.py"))
    if not files:
        pytest.fail(f"{folder} is empty")
    own = {"multiprune", f"multiprune_{package}", framework, "array_api_compat", "numpy"}
    extras = {"jax": {"jaxlib", "optax", "safetensors"}, "numpy": {"scipy"}}
    for path in files:
        foreign = roots(path) - STANDARD - own - extras.get(package, {"safetensors", "ml_dtypes"})
        assert not foreign, f"{path.name} imports {foreign}"


def test_the_files_import_no_framework_but_numpy():
    """The command looks for one by name where it compares them, and draws with its extras."""
    allowed = STANDARD | {"multiprune", "multiprune_checkpoints", "multiprune_numpy", "numpy"}
    extras = {"ml_dtypes", "safetensors"}
    for path in sorted((ROOT / "checkpoints" / "multiprune_checkpoints").rglob("*.py")):
        more = {"cyclopts", "rich", "matplotlib"} if path.parent.name == "cli" else set()
        assert roots(path) <= allowed | extras | more, path.name


def test_the_judge_imports_nothing_of_ours_and_the_oracle_only_numpy():
    """Nor do they import the adapters that lie beside them, to be judged."""
    for path in sorted((ROOT / "conformance" / "multiprune_conformance").glob("*.py")):
        allowed = STANDARD | {"multiprune_conformance"}
        if path.stem.startswith("oracle"):
            allowed |= {"numpy"}
        assert roots(path) <= allowed, path.name
        assert not any(name.startswith("multiprune_conformance.examples") for name in imports(path))


PACKAGES = [
    "multiprune",
    *(f"backends/multiprune_{name}" for name in ("numpy", "torch", "jax")),
    "checkpoints/multiprune_checkpoints",
    "conformance/multiprune_conformance",
]


@pytest.mark.parametrize("folder", PACKAGES)
def test_no_room_imports_upwards_or_in_a_circle(folder):
    """Each room is imported only by rooms that stand above it: the graph has an order."""
    graph = import_graph(ROOT / folder)
    for floors in (graph, folders_of(graph)):
        check_order(floors)


@pytest.mark.parametrize("folder", PACKAGES)
def test_there_are_at_most_eight_floors(folder):
    """Of folders, and of files in each folder: what is looked at together can be learned."""
    graph = import_graph(ROOT / folder)
    groups: dict[str, dict[str, set[str]]] = {}
    for name, below in graph.items():
        groups.setdefault(name.rpartition(".")[0], {})[name] = below
    for floors in (folders_of(graph), *groups.values()):
        assert count_floors(floors) <= 8


def count_floors(graph: dict[str, set[str]]) -> int:
    known: dict[str, int] = {}

    def floor(name: str) -> int:
        if name not in known:
            known[name] = 1 + max((floor(n) for n in graph[name] if n in graph), default=0)
        return known[name]

    return max(map(floor, graph))


def import_graph(package: Path) -> dict[str, set[str]]:
    """Each file by its dotted name, with those of the same package that it imports."""
    files = {
        ".".join(path.relative_to(package.parent).with_suffix("").parts): path
        for path in package.rglob("*.py")
        if path.stem not in ("__init__", "__main__")
    }
    return {name: imports(path) & files.keys() - {name} for name, path in files.items()}


def folders_of(graph: dict[str, set[str]]) -> dict[str, set[str]]:
    """The same for folders; a file at the top stands for itself."""
    folders: dict[str, set[str]] = {}
    for name, below in graph.items():
        folder = ".".join(name.split(".")[:2])
        folders.setdefault(folder, set()).update(".".join(b.split(".")[:2]) for b in below)
    return {folder: below - {folder} for folder, below in folders.items()}


def check_order(graph: dict[str, set[str]]) -> None:
    while graph:
        leaves = {room for room, below in graph.items() if not below & set(graph)}
        assert leaves, f"a circle among {sorted(graph)}"
        graph = {room: below for room, below in graph.items() if room not in leaves}


def test_importing_multiprune_loads_no_framework():
    code = "import sys, multiprune; print(*sorted({'numpy','torch','jax'} & set(sys.modules)))"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert loaded.stdout.strip() == ""


def test_a_numpy_array_loads_no_other_framework():
    code = (
        "import sys, numpy, multiprune; multiprune.global_unstructured([numpy.ones(3)], amount=1);"
        "print(*sorted({'torch','jax'} & set(sys.modules)))"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert loaded.stdout.strip() == ""


def test_the_wheel_holds_the_packages_and_nothing_else(tmp_path):
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    packages = {
        "multiprune",
        "multiprune_checkpoints",
        "multiprune_numpy",
        "multiprune_torch",
        "multiprune_jax",
        "multiprune_conformance",
    }
    assert {n.partition("/")[0] for n in names if ".dist-info" not in n} == packages
    assert all(f"{package}/py.typed" in names for package in packages)
    judged = {"SPEC.md", "examples/torch_prune.py", "examples/node/impl.js"}
    judged |= {"known_deviations/torch-2.13.json", "PROTOCOL.md", "vectors/module.json"}
    assert {f"multiprune_conformance/{name}" for name in judged} <= set(names)


def test_files_are_of_a_size_to_be_read():
    """Past 250 lines there are two things in one file; half of the files have less than 120."""
    lines = {
        path: len(path.read_text().splitlines())
        for folder in ("multiprune", "backends", "checkpoints", "conformance")
        for path in sorted((ROOT / folder).rglob("*.py"))
    }
    assert not [p for p, count in lines.items() if count > 250 and p.parent.name != "generate"]
    assert statistics.median(lines.values()) < 120

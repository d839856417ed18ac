"""Write the vectors, and the examples of SPEC.md: `python conformance/generate [FOLDER]`."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import accepts  # noqa: E402
import allocations  # noqa: E402
import amounts  # noqa: E402
import bounded  # noqa: E402
import groups  # noqa: E402
import mask_files  # noqa: E402
import methods_and_draws  # noqa: E402
import modules  # noqa: E402
import numbers_and_types  # noqa: E402
import order  # noqa: E402
import pools  # noqa: E402
from craft import Area, Json  # noqa: E402

SUITE = HERE.parent / "multiprune_conformance"


def render(file: Json) -> str:
    """Return a vector file as text, one vector to a line."""
    head = {key: value for key, value in file.items() if key != "vectors"}
    used = {flag for vector in file["vectors"] for flag in vector["flags"]}
    head["notes"] = {flag: note for flag, note in head["notes"].items() if flag in used}
    lines = [json.dumps(vector, separators=(",", ":")) for vector in file["vectors"]]
    start = json.dumps(head, indent=1)[:-2]
    return start + ',\n "vectors": [\n  ' + ",\n  ".join(lines) + "\n ]\n}\n"


def short(vector: Json) -> str:
    """Return a vector in one line, as SPEC.md shows it."""
    asked = json.dumps(vector["input"], separators=(",", ":"), ensure_ascii=True)
    told = json.dumps(vector["expect"], separators=(",", ":"))
    if len(asked) + len(told) > 400:
        return f"`{vector['id']}`: {vector['title']}."
    return f"`{vector['id']}`: {vector['operation']} `{asked}` gives `{told}`"


def with_examples(spec: str, vectors: list[Json]) -> str:
    """Return the text of SPEC.md with the example of each clause renewed."""
    first: dict[str, Json] = {}
    for vector in vectors:
        for clause in vector["clauses"]:
            held = first.get(clause)
            own = vector["id"].startswith(clause)
            if held is None or (own and not held["id"].startswith(clause)):
                first[clause] = vector
    spec = re.sub(r"^- Example: .*\n", "", spec, flags=re.M)

    def add(match: re.Match[str]) -> str:
        vector = first.get(match.group(2))
        return match.group(1) + (f"- Example: {short(vector)}\n" if vector else "")

    return re.sub(r"(^### (\S+) .*\n(?:(?!\n|#).*\n)*)", add, spec, flags=re.M)


def main(folder: Path = SUITE) -> int:
    """Write everything into a folder and return the exit code."""
    rooms = (
        amounts, numbers_and_types, order, methods_and_draws, mask_files, modules, pools, groups,
        bounded, allocations,
    )  # fmt: skip
    areas: list[Area] = [area for room in rooms for area in room.build()]
    accepts.cite(areas)
    (folder / "vectors").mkdir(parents=True, exist_ok=True)
    vectors = []
    for area in areas:
        file = area.file()
        vectors += file["vectors"]
        (folder / "vectors" / f"{area.name}.json").write_text(render(file), encoding="utf-8")
    spec = with_examples((SUITE / "SPEC.md").read_text(encoding="utf-8"), vectors)
    (folder / "SPEC.md").write_text(spec, encoding="utf-8")
    print(f"{len(vectors)} vectors in {len(areas)} files")
    return 0


if __name__ == "__main__":
    sys.exit(main(*(Path(argument) for argument in sys.argv[1:])))

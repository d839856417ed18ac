"""Compressed checkpoints from the command: small, whole again, and nothing half done."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from checkpoints import random_array, write, write_shards

pytest.importorskip("cyclopts")
if sys.version_info < (3, 14):
    pytest.importorskip("backports.zstd")

COMMAND = [sys.executable, "-m", "multiprune_cli"]


def run(*arguments, code=0, **options):
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=120, **options
    )
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    return done.stderr if code == 2 else done.stdout


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_prune_and_compress_in_one(tmp_path):
    source = write(tmp_path / "m.safetensors", {"w": random_array((300, 300), "float16")})
    small, page = tmp_path / "out.safetensors.mpz", tmp_path / "r.html"
    shown = run("prune", source, "-o", small, "--amount", "0.9", "--compress", "zstd",
                "--report", page)  # fmt: skip
    assert "81,000 of 90,000 entries" in shown
    assert "0.2 MB became 0.0 MB" in shown
    assert "out.safetensors.mpz" in page.read_text()
    assert names(tmp_path) == ["m.safetensors", "out.safetensors.mpz", "r.html"]
    back, plain = tmp_path / "out.safetensors", tmp_path / "plain.safetensors"
    assert "same bytes" in run("unpack", small, "-o", back)
    run("prune", source, "-o", plain, "--amount", "0.9")
    assert back.read_bytes() == plain.read_bytes()
    sizes = json.loads(run("compress", plain, "-o", tmp_path / "p.safetensors.mpz", "--json"))
    assert sizes["before"] == plain.stat().st_size > sizes["after"] == small.stat().st_size
    done = json.loads(run("prune", source, "-o", small, "--amount", "0.9", "--compress", "zstd",
                          "--json"))  # fmt: skip
    assert done["report"]["pruned"] == 81_000


def test_a_folder(tmp_path):
    shards = [{f"w{i}": random_array((40, 50), "bfloat16", i, 9)} for i in range(2)]
    index = write_shards(tmp_path / "model", shards)
    run("prune", index, "-o", tmp_path / "small", "--sparsity", "0.8", "--compress", "zstd")
    run("unpack", tmp_path / "small", "-o", tmp_path / "back")
    run("prune", index, "-o", tmp_path / "plain", "--sparsity", "0.8")
    assert run("diff", tmp_path / "plain", tmp_path / "back").startswith("2 of 2")
    assert names(tmp_path / "back") == names(tmp_path / "model")
    assert names(tmp_path) == ["back", "model", "plain", "small"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["prune", "M", "-o", "x.safetensors", "--amount", ".5", "--compress", "zstd"], ".mpz"),
        (["prune", "M", "-o", "x.mpz", "--amount", "5.5", "--compress", "zstd"], "AMT-10"),
        (["prune", "M", "--in-place", "--amount", ".5", "--compress", "zstd"], "--output"),
        (["prune", "M", "-o", "x.mpz", "--amount", ".5", "--compress", "lzma"], "lzma"),
        (["compress", "M", "-o", "x.zst"], ".mpz"),
        (["compress", "M"], "--output"),
        (["unpack", "M", "-o", "x"], "cannot be unpacked"),
        (["unpack", "missing.mpz", "-o", "x"], "No such file"),
    ],
)
def test_mistakes_are_named_and_nothing_is_left(arguments, message, tmp_path):
    source = write(tmp_path / "m.safetensors", {"w": random_array((30, 30), "float16")})
    given = [source if word == "M" else word for word in arguments]
    assert message in run(*given, code=2, cwd=tmp_path)
    assert names(tmp_path) == ["m.safetensors"]

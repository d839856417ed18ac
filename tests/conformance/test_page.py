"""The commands of docs/conformance.md do what the page says, in a folder with nothing else."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys

from multiprune_conformance.loader import HERE

ROOT = HERE.parents[1]
PAGE = (ROOT / "docs" / "conformance.md").read_text(encoding="utf-8")
RED = ("--html torch.html", "mine:Mine")


def test_the_commands_of_the_page_run(tmp_path):
    for name, text in re.findall(r"^```python (\S+)\n(.*?)^```", PAGE, flags=re.M | re.S):
        (tmp_path / name).write_text(text, encoding="utf-8")
    shutil.copy(HERE / "examples" / "node" / "impl.js", tmp_path)
    blocks = re.findall(r"^```shell\n(.*?)^```", PAGE, flags=re.M | re.S)
    commands = [line for block in blocks for line in block.splitlines()]
    assert len(commands) == 7
    assert {shlex.split(command)[0] for command in commands} == {"multiprune-conformance"}
    for command in commands:
        if "node" in command and shutil.which("node") is None:
            continue
        words = [sys.executable, "-m", "multiprune_conformance", *shlex.split(command)[1:]]
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
        red = any(part in command for part in RED)
        assert done.returncode == red, (command, done.stdout[-500:], done.stderr)
    assert "REP-03" in (tmp_path / "torch.html").read_text(encoding="utf-8")
    assert (tmp_path / "suite" / "PROTOCOL.md").exists()
    (readme,) = re.findall(r"^multiprune-conformance .*$", (ROOT / "README.md").read_text(), re.M)
    assert readme == commands[0]

"""The scripts of docs/sharded.md run as the page says, and print what it shows."""

from __future__ import annotations

import re

import pytest
from launch import ROOT, torchrun

PAGE = (ROOT / "docs" / "sharded.md").read_text()


@pytest.mark.slow
def test_the_scripts_of_the_page_run_by_its_commands(tmp_path):
    scripts = dict(re.findall(r"^```python (\S+)\n(.*?)^```", PAGE, flags=re.M | re.S))
    for name, text in scripts.items():
        (tmp_path / name).write_text(text)
    commands = re.findall(r"^torchrun --standalone --nproc_per_node=(\d) (\S+)$", PAGE, flags=re.M)
    assert [script for _, script in commands] == list(scripts)
    outputs = [
        torchrun(tmp_path / name, tmp_path, processes=int(count)) for count, name in commands
    ]
    (shown,) = re.findall(r"^```text\n(.*?)\n```", PAGE, flags=re.M | re.S)
    assert shown in outputs[0]
    assert "667 of 834 entries pruned (79.98 %)" in outputs[1]
    assert "751 of 834 entries pruned (90.05 %)" in outputs[1]

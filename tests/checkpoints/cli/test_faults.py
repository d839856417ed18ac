"""Locked folders, full disks and Ctrl-C: one line, an exit code, and no debris."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
import time

import pytest
from checkpoint_files import random_array, write, write_shards
from multiprune_checkpoints.output.atomic import temporary_of
from test_archives import HOSTILE_NPZ, HOSTILE_TORCH
from test_hostile_files import HOSTILE

pytest.importorskip("cyclopts")
pytest.importorskip("rich")

COMMAND = [sys.executable, "-m", "multiprune_checkpoints"]
AS_ANYBODY = """
if sys.platform == "linux":  # permissions bind, even where the tests run as root
    PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 24, 1, 2
    for right in CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH:
        ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, right, 0, 0, 0)
"""
SMALL_DISK = """
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
"""


def digests(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def refused(arguments, before):
    """Run the command in a process that did `before`; it was not forked from this one."""
    code = (
        f"import ctypes, os, resource, signal, sys\n{before}\nos.execv(sys.argv[1], sys.argv[1:])"
    )
    command = [sys.executable, "-c", code, *COMMAND, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2, (done.stdout, done.stderr)
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    return done.stderr


ALL_HOSTILE = [
    (f"{name}{suffix}", data)
    for suffix, files in ((".safetensors", HOSTILE), (".npz", HOSTILE_NPZ), (".pt", HOSTILE_TORCH))
    for name, (data, message) in files.items()
    if message is not None
]


@pytest.mark.parametrize(("name", "data"), ALL_HOSTILE, ids=[name for name, _ in ALL_HOSTILE])
def test_a_hostile_file_is_one_line_with_exit_code_2(name, data, tmp_path, capsys):
    from multiprune_checkpoints.cli import main

    path = tmp_path / name
    path.write_bytes(data)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        for verb in (["inspect", path], ["prune", path, "--in-place", "--amount", "0.5"]):
            with pytest.raises(SystemExit) as caught:
                main([str(word) for word in verb])
            assert caught.value.code == 2
            printed = capsys.readouterr()
            assert printed.out == ""
            assert printed.err.startswith("multiprune: ")
            assert printed.err.count("\n") == 1
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    assert path.read_bytes() == data
    assert [found.name for found in tmp_path.iterdir()] == [name]


MODES = {
    "output": ["model", "-o", "locked/out"],
    "file": ["model.safetensors", "-o", "locked/out.safetensors"],
    "masks": ["model", "-o", "out", "--save-masks", "locked/masks.safetensors"],
    "in place": ["locked/model", "--in-place"],
    "file in place": ["locked/model.safetensors", "--in-place"],
}


@pytest.fixture
def places(tmp_path):
    """A file and a folder of shards of some megabytes; both again in a folder named `locked`."""
    for folder in (tmp_path, tmp_path / "locked"):
        folder.mkdir(exist_ok=True)
        arrays = [{f"w{i}": random_array((1024, 1024), "bfloat16", i)} for i in range(2)]
        write_shards(folder / "model", arrays)
        write(folder / "model.safetensors", arrays[0])
    return tmp_path


@pytest.mark.parametrize("mode", MODES)
def test_a_read_only_folder_is_named_and_all_stays_as_it_was(mode, places):
    locked = [places / "locked", places / "locked" / "model"]
    for folder in locked:
        folder.chmod(0o555)
    before = digests(places)
    given = [places / word if "/" in word or word[0] in "mo" else word for word in MODES[mode]]
    try:
        message = refused(["prune", *given, "--amount", "0.5"], AS_ANYBODY)
    finally:
        for folder in locked:
            folder.chmod(0o755)
    assert "Permission denied" in message
    assert "locked" in message
    assert digests(places) == before


@pytest.mark.parametrize("mode", MODES)
def test_a_full_disk_is_named_and_leaves_nothing(mode, places):
    before = digests(places)
    given = [places / word if "/" in word or word[0] in "mo" else word for word in MODES[mode]]
    message = refused(["prune", *given, "--amount", "0.5"], SMALL_DISK)
    assert "File too large" in message
    assert "Nothing is half written" in message
    assert digests(places) == before


def zeros(folder):
    """A shard of a gibibyte that takes no room, so that there is time to stop; and its index."""
    folder.mkdir()
    size = 1 << 30
    header = {"w": {"dtype": "BF16", "shape": [size >> 11, 1 << 10], "data_offsets": [0, size]}}
    text = json.dumps(header).encode()
    with (folder / "model.safetensors").open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + size)
    index = {"weight_map": {"w": "model.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return folder


def has_begun(temporary, stage):
    """Whether an output has its temporary name, or its first bytes."""
    shard = temporary_of(temporary / "model.safetensors")
    return shard.exists() and (stage == "ranking" or shard.stat().st_size > 0)


@pytest.mark.parametrize("stage", ["ranking", "writing"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_stopped_leaves_nothing_and_says_so(number, stage, tmp_path):
    source, out = zeros(tmp_path / "model"), tmp_path / "out"
    command = [*COMMAND, "prune", str(source), "-o", str(out), "--amount", "0.8"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        while process.poll() is None and not has_begun(temporary_of(out), stage):
            time.sleep(0.001)
        process.send_signal(number)
        printed, errors = process.communicate()
    assert process.returncode == 130, errors
    assert printed == b""
    assert (
        errors.decode() == "multiprune: stopped. The input is as it was; nothing is half written.\n"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["model"]

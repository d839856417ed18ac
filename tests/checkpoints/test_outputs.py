"""Outputs are whole or absent, inputs stay; whatever is killed, and whenever."""

from __future__ import annotations

import hashlib
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from checkpoint_files import random_array, read, write, write_shards
from multiprune_checkpoints import CheckpointError, OutputError, open_checkpoint, prune_checkpoint
from multiprune_checkpoints.formats.checkpoint import JOURNAL
from multiprune_checkpoints.output.atomic import AtomicFile, AtomicFolder, temporary_of

KILLS = int(os.environ.get("MULTIPRUNE_KILLS", "20"))


def digests(folder):
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }


def make(folder, mode):
    """An input of some megabytes; what its prune call is given."""
    folder.mkdir()
    arrays = [{f"s{i}.{j}": random_array((256, 1024), seed=3 * i + j) for j in range(2)}
              for i in range(3)]  # fmt: skip
    if "shards" in mode:
        write_shards(folder / "model", arrays)
        return folder / "model", folder / "out"
    tensors = {name: array for shard in arrays for name, array in shard.items()}
    return write(folder / "model.safetensors", tensors), folder / "out.safetensors"


CODE = """
import sys, pathlib
from multiprune_checkpoints import prune_checkpoint
source, target, masks = sys.argv[1:]
print("go", flush=True)
prune_checkpoint(source, target or None, in_place=not target, amount=0.8, save_masks=masks)
print("done", flush=True)
"""


def start(source, target, masks):
    arguments = [sys.executable, "-c", CODE, str(source), str(target or ""), str(masks)]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("mode", ["file", "shards", "file in place", "shards in place"])
@pytest.mark.slow
def test_a_process_killed_at_any_moment_leaves_all_whole(mode, tmp_path):
    in_place = "in place" in mode
    source, output = make(tmp_path / "original", mode)
    expected = tmp_path / "expected"
    shutil.copytree(tmp_path / "original", expected)
    place = expected / source.name
    prune_checkpoint(place, None if in_place else expected / output.name, in_place=in_place,
                     amount=0.8, save_masks=expected / "masks.safetensors")  # fmt: skip
    want, before = digests(expected), digests(tmp_path / "original")
    rng = random.Random(mode)
    begun = time.perf_counter()
    with start(*_paths(tmp_path / "trial", source, output, in_place)) as process:
        assert process.stdout is not None
        process.stdout.readline()
        begun = time.perf_counter()
        process.communicate()
    whole = time.perf_counter() - begun
    assert digests(tmp_path / "trial") == want
    killed = trials = 0
    while trials < KILLS // 4 or not killed:  # the first run may have been a slow one
        trials += 1
        assert trials < KILLS + 20, "it was always done before it was killed"
        shutil.rmtree(tmp_path / "trial")
        paths = _paths(tmp_path / "trial", source, output, in_place)
        with start(*paths) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(rng.random() * whole / (1 + trials // (KILLS // 4 + 1)))
            process.send_signal(signal.SIGKILL)
            killed += process.wait() == -signal.SIGKILL
        found = {n: d for n, d in digests(tmp_path / "trial").items() if ".multiprune" not in n}
        assert set(before) <= set(found)
        for name, digest in found.items():
            assert digest in (before.get(name), want.get(name)), name
        if not in_place:
            assert all(found[name] == digest for name, digest in before.items())
            held = set(found) - set(before) - {"masks.safetensors"}
            assert not held or held == set(want) - set(before) - {"masks.safetensors"}
        with start(*paths) as process:
            assert process.wait() == 0
        again = digests(tmp_path / "trial")
        if in_place and again != want:  # finished before, then pruned again: the same zeros
            assert set(again) == set(want)
            mine, theirs = (read(p / source.name) for p in (tmp_path / "trial", expected))
            assert all(np.array_equal(mine[n].view("u4"), theirs[n].view("u4")) for n in theirs)
        else:
            assert again == want


def _paths(folder, source, output, in_place):
    shutil.copytree(source.parent, folder)
    target = None if in_place else folder / output.name
    return folder / source.name, target, folder / "masks.safetensors"


def test_an_interrupted_replacement_of_shards_is_finished_by_the_next_run(tmp_path, monkeypatch):
    """It stops after each of the renames in turn, with all the tidying that an error sets off."""
    source, _ = make(tmp_path / "original", "shards")
    expected = tmp_path / "expected"
    shutil.copytree(source, expected)
    done = prune_checkpoint(expected, in_place=True, amount=0.8)
    for survived in range(4):
        trial = tmp_path / f"trial{survived}"
        shutil.copytree(source, trial)
        count = 0

        def replace(a, b, limit=survived, real=os.replace):
            nonlocal count
            if "model-" in str(b):
                count += 1
                if count > limit:
                    raise _DeathError
            real(a, b)

        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", replace)
            patch.setattr("multiprune_checkpoints.output.destination._close_journal", _die)
            with pytest.raises(_DeathError):
                prune_checkpoint(trial, in_place=True, amount=0.8)
        assert (trial / JOURNAL).exists()
        with pytest.raises(CheckpointError, match="interrupted"):
            open_checkpoint(trial)
        again = prune_checkpoint(trial, in_place=True, amount=0.8)
        assert again.resumed
        assert again.report == done.report
        assert digests(trial) == digests(expected)
        assert not prune_checkpoint(trial, in_place=True, amount=0.8).resumed


class _DeathError(BaseException):
    pass


def _die(folder):
    raise _DeathError


def test_a_journal_that_lies_is_refused(tmp_path):
    index = write_shards(tmp_path, [{"a": random_array((2, 2))}, {"b": random_array((2, 2))}])
    for shards in (["../x"], ["/x"], 5):
        text = json.dumps({"shards": shards, "request": {}, "outcome": {}})
        (tmp_path / JOURNAL).write_text(text)
        with pytest.raises(CheckpointError, match="journal"):
            prune_checkpoint(index, in_place=True, amount=1)


@pytest.mark.parametrize("mode", ["file", "shards", "file in place", "shards in place"])
def test_a_full_disk_leaves_nothing(mode, tmp_path):
    source, output = make(tmp_path / "x", mode)
    before = digests(tmp_path / "x")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, limits[1]))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        in_place = "in place" in mode
        target = None if in_place else output
        masks = tmp_path / "x" / "masks.safetensors"
        with pytest.raises(OSError, match="too large"):
            prune_checkpoint(source, target, in_place=in_place, amount=0.8, save_masks=masks)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert digests(tmp_path / "x") == before


def test_an_input_is_no_output(tmp_path):
    source = write(tmp_path / "in.safetensors", {"a": random_array((3, 3))})
    (tmp_path / "link.safetensors").symlink_to(source)
    before = digests(tmp_path)
    for target in (source, tmp_path / "link.safetensors", tmp_path):
        with pytest.raises(OutputError, match="is the input"):
            prune_checkpoint(source, target, amount=1)
    for options in ({}, {"in_place": True, "dry_run": True}):
        with pytest.raises(OutputError, match="exactly one"):
            prune_checkpoint(source, amount=1, **options)
    with pytest.raises(OutputError, match="exactly one"):
        prune_checkpoint(source, tmp_path / "o.safetensors", in_place=True, amount=1)
    assert digests(tmp_path) == before


def test_a_folder_that_holds_other_things_is_not_replaced(tmp_path):
    index = write_shards(tmp_path / "model", [{"a": random_array((3, 3))}])
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.tex").write_text("years")
    for target, message in (
        (tmp_path / "home", "thesis.tex"),
        (tmp_path, "folder of the input"),
        (tmp_path / "model", "folder of the input"),
        (tmp_path / "model" / "out", "folder of the input"),
    ):
        with pytest.raises(OutputError, match=message):
            prune_checkpoint(index, target, amount=1)
    for amount in (1, 2):
        prune_checkpoint(index, tmp_path / "out", amount=amount)
        assert sum((a == 0).sum() for a in read(tmp_path / "out").values()) == amount
    assert sorted(p.name for p in tmp_path.iterdir()) == ["home", "model", "out"]


def test_two_writers_of_one_output_do_not_meet(tmp_path):
    target = tmp_path / "out.safetensors"
    with AtomicFile(target), pytest.raises(OutputError, match="another process"):
        AtomicFile(target)
    with AtomicFolder(tmp_path / "out"), pytest.raises(OutputError, match="another process"):
        AtomicFolder(tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_run_left_is_cleared(tmp_path):
    source = write(tmp_path / "in.safetensors", {"a": random_array((3, 3))})
    temporary_of(tmp_path / "out.safetensors").write_bytes(bytes(10_000))
    prune_checkpoint(source, tmp_path / "out.safetensors", amount=1)
    index = write_shards(tmp_path / "model", [{"a": random_array((3, 3))}])
    folder = temporary_of(tmp_path / "out")
    (folder / "deep").mkdir(parents=True)
    prune_checkpoint(index, tmp_path / "out", amount=1)
    temporary_of(tmp_path / "out", "old").mkdir()
    prune_checkpoint(index, tmp_path / "out", amount=1)
    names = sorted(p.name for p in tmp_path.iterdir())
    assert names == ["in.safetensors", "model", "out", "out.safetensors"]
    assert "deep" not in [p.name for p in (tmp_path / "out").iterdir()]


def test_permissions_are_kept_in_place(tmp_path):
    source = write(tmp_path / "in.safetensors", {"a": random_array((3, 3))})
    source.chmod(0o640)
    prune_checkpoint(source, in_place=True, amount=1)
    assert source.stat().st_mode & 0o777 == 0o640


def test_a_folder_stopped_while_the_older_one_goes_leaves_the_new_one(tmp_path, monkeypatch):
    out, remove, calls = tmp_path / "out", shutil.rmtree, []
    out.mkdir()
    (out / "older").touch()

    def stopped(path, **options):
        calls.append(path)
        if len(calls) == 1:
            raise KeyboardInterrupt
        remove(path, **options)

    monkeypatch.setattr(shutil, "rmtree", stopped)
    with AtomicFolder(out) as pending:
        (pending.temporary / "newer").touch()
        with pytest.raises(KeyboardInterrupt):
            pending.commit()
    names = [str(path.relative_to(tmp_path)) for path in sorted(tmp_path.rglob("*"))]
    assert names == ["out", "out/newer"]

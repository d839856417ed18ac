"""Damages valid checkpoints and reads them; run as ``fuzz.py FOLDER CASES [SEED]``.

Prints how many cases there were, how many were refused, how many were read, and the peak of
resident memory in MiB. A crash ends it with its trace, the damaged file left where it is.
"""

from __future__ import annotations

import io
import json
import random
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from checkpoint_files import encode, random_array
from multiprune_checkpoints import inspect_checkpoint, prune_checkpoint

from multiprune import MultipruneError


def seeds() -> dict[str, bytes]:
    """Valid files by their suffix."""
    tensors = {
        "a.weight": random_array((8, 9), "bfloat16", 1),
        "b.weight": random_array((5, 3), "float32", 2),
        "c.bias": random_array((4,), "float16", 3),
    }
    found = {".safetensors": encode(tensors, {"format": "pt"})}
    plain = {"a": random_array((8, 9), "float32", 1), "b": random_array((2, 3), "float16")}
    for name, save in (("plain.npz", np.savez), ("small.npz", np.savez_compressed)):
        file = io.BytesIO()
        save(file, **plain)
        found[name] = file.getvalue()
    try:
        import torch
    except ImportError:
        return found
    file = io.BytesIO()
    torch.save({"model": {"w": torch.randn(6, 7), "b": torch.randn(4)}, "step": 3}, file)
    return {**found, "model.pt": file.getvalue()}


TOKENS = [b"-1", b"0", b"1", b"99999999999999999999", b"18446744073709551615", b"[", b"]", b"{",
          b"}", b'"', b",", b":", b"null", b"true", b"1e400", b"F64", b"F4", b"BOOL", b"\\ud800",
          b"__metadata__", b"a.weight", b"PK\3\4", b"\x80\x05", b"cos\nsystem\n", b"(", b"tR.",
          b"\xff" * 4, b"\0" * 8]  # fmt: skip


def damage(data: bytes, rng: random.Random) -> bytes:
    """Change a few places, mostly near the front where headers are, or cut, or join."""
    found = bytearray(data)
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        reach = len(found) if rng.random() < 0.5 else min(len(found), 300)
        at = rng.randrange(max(reach, 1))
        match rng.randrange(8):
            case 0:
                found[at : at + 1] = bytes([rng.randrange(256)])
            case 1 if at < len(found):
                found[at] ^= 1 << rng.randrange(8)
            case 2:
                del found[at : at + rng.choice([1, 2, 8, 100])]
            case 3:
                found[at:at] = rng.choice(TOKENS)
            case 4:
                token = rng.choice(TOKENS)
                found[at : at + len(token)] = token
            case 5:
                found[at:] = b""
            case 6:
                start = rng.randrange(len(found) or 1)
                found[at:at] = found[start : start + rng.choice([4, 20, 200])]
            case _:
                found[:8] = rng.choice([0, 1, len(found), 2**63, 2**32, 200]).to_bytes(8, "little")
    if rng.random() < 0.3 and data[8:9] == b"{":  # a header that is JSON again, with one value off
        length = int.from_bytes(data[:8], "little")
        header = json.loads(data[8 : 8 + length])
        entry = header[rng.choice(list(header))]
        key = rng.choice(list(entry))
        entry[key] = rng.choice([-1, [], {}, "F64", [0, 0], [0, 144], [2**40, 2**40], None, [[1]]])
        text = json.dumps(header).encode()
        return len(text).to_bytes(8, "little") + text + data[8 + length :]
    return bytes(found)


def main(folder: Path, cases: int, seed: int = 0) -> None:
    rng, files = random.Random(seed), seeds()
    refused = read = 0
    for case in range(cases):
        name = rng.choice(list(files))
        path = folder / (f"case{name}" if name.startswith(".") else name)
        data = damage(files[name], rng)
        path.write_bytes(data)
        message = "none"
        try:
            if case % 2:
                inspect_checkpoint(path, sweep=[0.5])
            else:
                prune_checkpoint(path, folder / f"out{path.suffix}", amount=0.5)
            read += 1
        except MultipruneError as error:
            message = str(error)
            refused += 1
        assert 0 < len(message) < 3000, "a message of no use"
        assert path.read_bytes() == data, "the input was changed"
        left = [p.name for p in folder.iterdir() if ".multiprune." in p.name]
        assert not left, left
    # Not ru_maxrss: a process inherits its parent's, and pytest's may be large.
    status = Path("/proc/self/status").read_text()
    peak = int(status.split("VmHWM:")[1].split()[0]) // 1024
    print(cases, refused, read, peak)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))

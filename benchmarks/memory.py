"""Memory of this process: what it holds now, and the highest it has been since a moment.

On Linux the kernel keeps the high-water mark of the resident set (``VmHWM``), and writing 5 to
``/proc/self/clear_refs`` sets it back to what is resident now. So the mark read afterwards is the
true peak of the work in between, however short, where sampling from a thread would miss it. The
write touches no page, so it costs the timed region nothing. Where that is refused, the mark of the
whole life of the process (``ru_maxrss``) serves: models are built in place, layer by layer, so
that building never stands higher than the finished model.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import resource
import sys
from pathlib import Path

import torch

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


class Watch:
    """Watches the memory of one device.

    Parameters
    ----------
    device : str
        ``"cpu"`` watches the resident set; ``"cuda"`` watches what torch's allocator has given
        out, which leaves the CUDA context and its caches aside.
    """

    def __init__(self, device: str) -> None:
        self._cuda = device == "cuda"

    def reset(self) -> None:
        """Begin a new high-water mark at what is held now."""
        if self._cuda:
            torch.cuda.reset_peak_memory_stats()
            return
        with contextlib.suppress(OSError):  # not Linux, or refused: see the head of this file
            _CLEAR.write_text("5")

    def held(self) -> int:
        """Return the bytes held now, free memory that the C library keeps at hand left out."""
        gc.collect()
        if self._cuda:
            return torch.cuda.memory_allocated()
        _give_back()
        return _status("VmRSS") or _lifetime_peak()

    def live(self) -> int:
        """Return the bytes that are allocated and not freed: no gaps between them, no caches.

        Counts leaks where the resident set wanders by some MiB from one round to the next.
        """
        if self._cuda:
            return torch.cuda.memory_allocated()
        gc.collect()
        return _allocated() or self.held()

    def peak(self) -> int:
        """Return the most bytes held since `reset`."""
        if self._cuda:
            return torch.cuda.max_memory_allocated()
        return _status("VmHWM") or _lifetime_peak()


def available(device: str) -> int | None:
    """Return the bytes that a new process could use on a device, or None if nobody says."""
    if device == "cuda":
        free: int = torch.cuda.mem_get_info()[0]
        return free
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return None
    fields = {line.split(":")[0]: line.split()[1] for line in lines}
    return int(fields["MemAvailable"]) * 1024 if "MemAvailable" in fields else None


def _give_back() -> None:
    """Have the C library hand its free memory back, where it is one that can (glibc)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


class _Mallinfo(ctypes.Structure):
    """The struct that glibc's ``mallinfo2`` returns."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    )


def _allocated() -> int | None:
    """Return what malloc has given out, over all arenas and maps; None without glibc 2.33."""
    try:
        ask = ctypes.CDLL(None).mallinfo2
    except (OSError, AttributeError):
        return None
    ask.restype = _Mallinfo
    info = ask()
    return int(info.uordblks) + int(info.hblkhd)


def _status(field: str) -> int | None:
    try:
        lines = _STATUS.read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(field)), None)


def _lifetime_peak() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024

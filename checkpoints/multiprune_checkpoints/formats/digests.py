"""The digest of a file, taken beside whatever else is done with its bytes."""

from __future__ import annotations

import hashlib
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

from multiprune_checkpoints.formats.source import SourceFile

__all__ = ["Digest", "sha256_of"]

_BLOCK = 1 << 20
_WAITING = 4


class Digest:
    """SHA-256 in a thread of its own. A context manager."""

    def __init__(self) -> None:
        self.sha = hashlib.sha256()
        self.pool = ThreadPoolExecutor(1)
        self.waiting: deque[Future[None]] = deque()

    def __enter__(self) -> Digest:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.pool.shutdown(cancel_futures=True)

    def update(self, block: bytes) -> None:
        """Add a block; waits where too many are waiting, so that memory is bounded."""
        if len(self.waiting) == _WAITING:
            self.waiting.popleft().result()
        self.waiting.append(self.pool.submit(self.sha.update, block))

    def hexdigest(self) -> str:
        """Return the digest of all blocks."""
        while self.waiting:
            self.waiting.popleft().result()
        return self.sha.hexdigest()


def sha256_of(source: SourceFile) -> str:
    """Return the SHA-256 of a whole file."""
    with Digest() as digest:
        for start in range(0, source.size, _BLOCK):
            digest.update(source.read(start, min(start + _BLOCK, source.size)))
        return digest.hexdigest()

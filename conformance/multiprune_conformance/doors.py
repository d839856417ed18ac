"""The two doors to an implementation: a Python class, and a process that speaks JSON lines."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import queue
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
from typing import IO, Any

from multiprune_conformance.description import Usage
from multiprune_conformance.judge import Broken, Implementation

Json = dict[str, Any]
PROTOCOL = 1


def adapter(path: str) -> Implementation:
    """Return the adapter named `package.module:Class`."""
    module, _, name = path.partition(":")
    try:
        made: Implementation = getattr(importlib.import_module(module), name)()
    except (Exception, SystemExit) as error:  # whatever the module does when it is imported
        raise Usage(f"no adapter {path}: {type(error).__name__}: {error}") from error
    return made


class Process:
    """An implementation behind a command that reads and writes one JSON value a line.

    Parameters
    ----------
    command
        The command line.
    timeout
        Seconds for one answer; the process is ended and started anew after it.
    restarts
        How often it is started again before the rest counts as broken.
    """

    def __init__(self, command: str, timeout: float = 10.0, restarts: int = 5) -> None:
        self.command, self.timeout, self.restarts = command, timeout, restarts
        self.described: Json | None = None
        self.process: subprocess.Popen[str] | None = None
        self.lines: queue.Queue[str | None] = queue.Queue()
        self.sequence = 0

    def describe(self) -> Json:
        """Start the process and return what it says of itself."""
        try:
            self.described = self._start()
        except (Broken, OSError, ValueError, IndexError) as error:
            raise Usage(f"{self.command!r} does not start: {error}") from error
        return self.described

    def run(self, operation: str, request: Json) -> Json:
        """Send one request and return the answer."""
        if self.process is None:
            if self.restarts == 0:
                raise Broken("the process broke too often and is not started again")
            self.restarts -= 1
            self._start()
        self.sequence += 1
        message = {"seq": self.sequence, "operation": operation, "input": request}
        answer = self._exchange({"run": message})
        if not isinstance(answer, dict) or answer.get("seq") != self.sequence:
            self._end()
            raise Broken(f"an answer without seq {self.sequence}: {str(answer)[:200]}")
        return answer

    def close(self) -> None:
        """Ask the process to stop, and end it if it does not."""
        if self.process is not None:
            with contextlib.suppress(OSError, ValueError, subprocess.TimeoutExpired):
                self._send({"stop": {}})
                self.process.wait(timeout=2)
        self._end()

    def _start(self) -> Json:
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - read after the process ends
        try:
            self.process = subprocess.Popen(
                shlex.split(self.command), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=self.errors, text=True, encoding="utf-8", bufsize=1,
                start_new_session=True,  # so that what the command starts ends with it
            )  # fmt: skip
        except (OSError, ValueError, IndexError):
            self.errors.close()
            raise
        self.lines = queue.Queue()
        threading.Thread(target=_read, args=(self.process.stdout, self.lines), daemon=True).start()
        answer = self._exchange({"start": {"protocol": PROTOCOL}}, max(self.timeout, 30.0))
        spoken = answer.get("protocol") if isinstance(answer, dict) else answer
        if spoken != PROTOCOL:
            self._end()
            raise Broken(f"protocol {spoken!r}, this judge speaks {PROTOCOL}")
        return answer

    def _send(self, message: Json) -> None:
        assert self.process is not None
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()

    def _exchange(self, message: Json, timeout: float | None = None) -> Json:
        seconds = self.timeout if timeout is None else timeout
        try:
            self._send(message)
            line = self.lines.get(timeout=seconds)
        except queue.Empty:
            self._end()
            raise Broken(f"no answer within {seconds:g} s") from None
        except OSError:
            line = None
        if line is None:
            raise Broken(f"the process ended: {self._end()}")
        try:
            answer: Json = json.loads(line)
        except ValueError:
            self._end()
            raise Broken(f"an answer that is not JSON: {line[:200]}") from None
        return answer

    def _end(self) -> str:
        """End the process and return the last line of its errors."""
        if self.process is None:
            return ""
        process, self.process = self.process, None
        _kill(process)
        code = process.wait()
        if process.stdin is not None:
            with contextlib.suppress(OSError):
                process.stdin.close()
        self.errors.seek(0)
        last = self.errors.read().strip().splitlines()[-1:]
        self.errors.close()
        return f"exit code {code} {' '.join(last)}".strip()


def _kill(process: subprocess.Popen[str]) -> None:
    """Kill a process and what it has started: a shell's child would keep the pipes open."""
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()


def _read(pipe: IO[str], lines: queue.Queue[str | None]) -> None:
    with contextlib.suppress(OSError, ValueError), pipe:  # closed here: elsewhere it would wait
        for line in pipe:
            lines.put(line)
    lines.put(None)


def serve(implementation: Implementation) -> int:
    """Answer the process door for a Python adapter, on standard input and output."""
    for line in sys.stdin:
        message = json.loads(line)
        if "stop" in message:
            return 0
        if "start" in message:
            answer = {"protocol": PROTOCOL, **implementation.describe()}
        else:
            asked = message["run"]
            answer = implementation.run(asked["operation"], asked["input"])
            answer = {"seq": asked["seq"], **answer}
        print(json.dumps(answer), flush=True)
    return 0

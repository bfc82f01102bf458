"""What a process cost: CPU, peak memory, bytes written, fsyncs.

In:    a command.
Out:   its cost as the kernel accounts it to the process and the children that it waited for.
Holds: fsyncs are counted in a run of their own, since tracing slows a run down.
Not here: which commands to run.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

# The kernel counts written blocks of this size, whatever the disk's.
BLOCK_BYTES = 512
# Calls that make data durable.
SYNC_CALLS = "fsync,fdatasync,sync_file_range,syncfs,msync"
# Nothing here takes longer, traced or not; what does has stopped working.
RUN_SECONDS = 3600.0
STOP_SECONDS = 120.0
# How long strace may take to write its summary after the traced process has ended.
SUMMARY_SECONDS = 20.0


@dataclass(frozen=True)
class Cost:
    """What the kernel accounts to one process."""

    user_seconds: float
    system_seconds: float
    peak_bytes: int
    written_bytes: int

    @property
    def cpu_seconds(self) -> float:
        return self.user_seconds + self.system_seconds

    def plus(self, other: "Cost") -> "Cost":
        """Both processes' costs; they may have run at the same time, so peaks add up."""
        return Cost(self.user_seconds + other.user_seconds, self.system_seconds + other.system_seconds,
                    self.peak_bytes + other.peak_bytes, self.written_bytes + other.written_bytes)


NOTHING = Cost(0.0, 0.0, 0, 0)


class Process:
    """A process whose cost is known once it has ended."""

    def __init__(self, command: list[str], log: Path, *, sync_summary: Path | None = None, **options) -> None:
        if sync_summary is not None:
            # -D: the command stays our own child, so signals and accounting reach it and not strace.
            tracer = ["strace", "-D", "-f", "--seccomp-bpf", "-c", "-e", f"trace={SYNC_CALLS}", "-o", str(sync_summary)]
            command = tracer + ["--", *command]
        self.command, self.log = command, log
        with open(log, "ab") as output:
            self.child = subprocess.Popen(command, stderr=output, stdin=subprocess.DEVNULL, **options)

    def ended(self) -> bool:
        """Whether it has ended by itself; its cost can still be asked for."""
        return os.waitid(os.P_PID, self.child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def wait(self, limit_seconds: float) -> tuple[int, Cost]:
        """Waits for the end, and kills what takes longer; gives the exit code (negative: a signal) and the cost."""
        guard = threading.Timer(limit_seconds, os.kill, (self.child.pid, signal.SIGKILL))
        guard.start()
        _, status, usage = os.wait4(self.child.pid, 0)
        guard.cancel()
        code = os.waitstatus_to_exitcode(status)
        self.child.returncode = code
        return code, Cost(usage.ru_utime, usage.ru_stime, usage.ru_maxrss * 1024, usage.ru_oublock * BLOCK_BYTES)

    def stop(self) -> tuple[int, Cost]:
        """Asks the process to end, and waits."""
        os.kill(self.child.pid, signal.SIGTERM)
        return self.wait(STOP_SECONDS)

    def tail(self) -> str:
        """The end of what it wrote to stderr."""
        return self.log.read_text(errors="replace")[-2000:]


def run(command: list[str], log: Path, *, sync_summary: Path | None = None, **options) -> tuple[str, Cost, float]:
    """Runs a command to its end; gives its stdout, cost and wall seconds.

    Raises RuntimeError when it fails.
    """
    started = time.monotonic()
    with open(log.with_name(log.name + ".stdout"), "w+b") as output:
        process = Process(command, log, sync_summary=sync_summary, stdout=output, **options)
        code, cost = process.wait(RUN_SECONDS)
        wall = time.monotonic() - started
        output.seek(0)
        text = output.read().decode()
    if code != 0:
        raise RuntimeError(f"{' '.join(map(str, command))} ended with {code}\n{process.tail()}")
    return text, cost, wall


def can_count_syncs() -> bool:
    """Whether strace is there and may trace."""
    if shutil.which("strace") is None:
        return False
    tried = subprocess.run(["strace", "-D", "-f", "-c", "-o", "/dev/null", "true"], capture_output=True)
    return tried.returncode == 0


def syncs(summary: Path) -> int:
    """Calls in strace's summary: all that made something durable."""
    deadline = time.monotonic() + SUMMARY_SECONDS
    while not (summary.is_file() and summary.stat().st_size):
        if time.monotonic() > deadline:
            # strace writes nothing at all when there was no such call.
            return 0
        time.sleep(0.05)
    names = SYNC_CALLS.split(",")
    calls = 0
    for line in summary.read_text().splitlines():
        fields = line.split()
        if fields and fields[-1] in names and re.fullmatch(r"[\d.]+", fields[0]):
            calls += int(fields[3])
    return calls


def size_of(folder: Path) -> tuple[int, int]:
    """Bytes and number of the files under a folder."""
    sizes = [f.stat().st_size for f in folder.rglob("*") if f.is_file()]
    return sum(sizes), len(sizes)


def settle(source: Path) -> None:
    """The same start for everyone: the source in the page cache, nothing left to be written back."""
    for file in source.rglob("*"):
        if file.is_file():
            with open(file, "rb", buffering=0) as reader:
                while reader.read(1 << 20):
                    pass
    os.sync()

"""The works, the contestants, and one measured run of one with the other.

In:    a dataset, a work, a contestant.
Out:   a `Result`, its table judged by the independent readers.
Holds: everyone gets the same source and the same target; nobody's word is taken for a good result.
Not here: the printed table (`report.py`).
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from dataclasses import asdict, dataclass, field
from pathlib import Path

import measure
import skein

BENCH = Path(__file__).resolve().parents[1]
READERS = BENCH.parent / "tests" / "python"
PEERS = ("polars", "duckdb", "pyiceberg")
SKEIN = "skein"
# The same run with nothing compared: what validation costs.
SKEIN_UNVALIDATED = "skein-unvalidated"


@dataclass(frozen=True)
class Work:
    """What is to be done with a dataset."""

    name: str
    dataset: str
    clean: bool
    title: str


WORKS = [
    Work("A-copy", "a", False, "A copied to Iceberg (peers do not validate)"),
    Work("A-clean", "a", True, "A with a column added, exact duplicates dropped, validated"),
    Work("B-copy", "b", False, "B copied to Iceberg (peers do not validate)"),
    Work("B-clean", "b", True, "B with a column added, exact duplicates dropped, validated"),
]


@dataclass
class Result:
    """One run of one contestant."""

    work: str
    contestant: str
    wall_seconds: float = 0.0
    cpu_seconds: float = 0.0
    user_seconds: float = 0.0
    system_seconds: float = 0.0
    peak_bytes: int = 0
    # Written to the disk by the process as the kernel counts it, and what is there at the end.
    written_bytes: int = 0
    output_bytes: int = 0
    output_files: int = 0
    # None: not counted.
    fsyncs: int | None = None
    # A peer's CPU up to the end of writing, before its validation.
    written_cpu_seconds: float | None = None
    verdict: dict = field(default_factory=dict)

    @property
    def agrees(self) -> bool:
        totals = self.verdict.get("totals", {})
        return bool(totals) and totals["agree"] == totals["tables"]

    def as_json(self) -> dict:
        return {**asdict(self), "agrees": self.agrees}


@dataclass
class Bench:
    """Where things are."""

    python: str
    scratch: Path
    binaries: skein.Binaries | None
    count_syncs: bool

    def run(self, work: Work, contestant: str, source: Path, *, again_for_syncs: bool) -> Result:
        """Measures one run, judges its result, and counts fsyncs in a second run where asked."""
        result, catalog = self.once(work, contestant, source, None)
        result.verdict = self.judge(work, source, catalog)
        if again_for_syncs and self.count_syncs:
            summary = self.scratch / "syncs"
            summary.unlink(missing_ok=True)
            self.once(work, contestant, source, summary)
            result.fsyncs = measure.syncs(summary)
        shutil.rmtree(self.scratch / "out", ignore_errors=True)
        return result

    def once(self, work: Work, contestant: str, source: Path, summary: Path | None) -> tuple[Result, Path]:
        """One run in a fresh folder."""
        out = self.scratch / "out"
        shutil.rmtree(out, ignore_errors=True)
        measure.settle(source)
        result = Result(work.name, contestant)
        if contestant in (SKEIN, SKEIN_UNVALIDATED):
            assert self.binaries is not None
            ran = skein.run(self.binaries, source, out, clean=work.clean, validate=contestant == SKEIN, sync_summary=summary)
            cost, result.wall_seconds = ran["cost"], ran["wall_seconds"]
        else:
            command = [self.python, str(BENCH / "peers" / f"{contestant}_peer.py"), "--source", str(source), "--out", str(out)]
            environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONWARNINGS": "ignore"}
            output, cost, result.wall_seconds = measure.run(
                command + (["--clean"] if work.clean else []), self.scratch / "peer.log", sync_summary=summary, env=environment)
            result.written_cpu_seconds = json.loads(output.splitlines()[-1])["written"]["cpu_seconds"]
        result.cpu_seconds, result.user_seconds, result.system_seconds = cost.cpu_seconds, cost.user_seconds, cost.system_seconds
        result.peak_bytes, result.written_bytes = cost.peak_bytes, cost.written_bytes
        result.output_bytes, result.output_files = measure.size_of(out / "warehouse")
        return result, out / "catalog.sqlite"

    def judge(self, work: Work, source: Path, catalog: Path) -> dict:
        """What the independent readers say of the result."""
        expected = ["--add", "description=''", "--distinct"] if work.clean else []
        command = [self.python, "-B", str(READERS / "compare.py"), "--warehouse", str(source), "--catalog", str(catalog)]
        done = subprocess.run(command + ["--all", "--quiet", *expected], capture_output=True, text=True)
        try:
            return json.loads(done.stdout)
        except json.JSONDecodeError:
            return {"error": done.stderr[-2000:]}


def data(generator: Path, folder: Path, dataset: str, scale: float, seed: int) -> tuple[Path, dict]:
    """The dataset's warehouse, made once and kept until the generator changes; and its facts."""
    sources = b"".join(path.read_bytes() for path in sorted((BENCH / "src").glob("*.rs")))
    name = f"{dataset}-{scale:g}-{seed}"
    home = folder / f"{name}-{hashlib.sha256(sources).hexdigest()[:8]}"
    if not home.exists():
        folder.mkdir(parents=True, exist_ok=True)
        for stale in folder.glob(f"{name}-*"):
            shutil.rmtree(stale)
        command = [str(generator), "generate", dataset, "--out", str(home), "--scale", str(scale), "--seed", str(seed)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return home / "warehouse", json.loads((home / "facts.json").read_text())

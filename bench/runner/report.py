"""The results as a table that a person reads and a document that a program reads.

In:    results, and what they were measured on.
Out:   markdown and JSON.
Holds: of several runs the one with the median CPU is shown; ratios are against the best peer in
       that column, and against polars for a plain copy.
Not here: measuring.
"""

from __future__ import annotations

import json
import platform
from pathlib import Path

from works import PEERS, SKEIN, SKEIN_UNVALIDATED, WORKS, Result

MIB = 1 << 20
# The goals and gates: work, what, against whom, at most.
CPU_GOALS = [
    ("A-copy", "polars", 1.1),
    ("A-clean", None, 0.6),
    ("B-clean", None, 0.25),
]
MOST_PEAK_BYTES = 1 << 30
MOST_VALIDATION_RATIO = 1.4


def median(results: list[Result]) -> Result:
    """The run with the middle CPU time (the lower one of an even number)."""
    ordered = sorted(results, key=lambda r: r.cpu_seconds)
    return ordered[(len(ordered) - 1) // 2]


def chosen(results: list[Result]) -> dict[tuple[str, str], Result]:
    """One run for each work and contestant; it carries the count of fsyncs whichever run took it."""
    groups: dict[tuple[str, str], list[Result]] = {}
    for result in results:
        groups.setdefault((result.work, result.contestant), []).append(result)
    shown = {}
    for key, group in groups.items():
        shown[key] = median(group)
        counted = [r.fsyncs for r in group if r.fsyncs is not None]
        shown[key].fsyncs = counted[0] if counted else None
    return shown


def best_peer(shown: dict, work: str, value) -> Result | None:
    """The peer with the least of something, among those whose result is right."""
    peers = [shown[work, p] for p in PEERS if (work, p) in shown and shown[work, p].agrees]
    return min(peers, key=value, default=None)


def against(mine: Result, other: Result | None, value) -> str:
    """A ratio, or a dash."""
    if other is None or not value(other):
        return "–"
    return f"{value(mine) / value(other):.2f}"


def work_table(shown: dict, work) -> list[str]:
    """One work's rows."""
    rows = [f"### {work.title}", "",
            "| | CPU s | wall s | peak MiB | written MiB | output MiB | files | fsyncs | CPU / best peer | result |",
            "|---|---|---|---|---|---|---|---|---|---|"]
    cpu = lambda r: r.cpu_seconds  # noqa: E731
    best = best_peer(shown, work.name, cpu)
    for contestant in (SKEIN, SKEIN_UNVALIDATED, *PEERS):
        result = shown.get((work.name, contestant))
        if result is None:
            continue
        validated = ""
        if work.clean and result.written_cpu_seconds is not None:
            validated = f" ({result.written_cpu_seconds:.2f} before validation)"
        rows.append(
            f"| {contestant} | {result.cpu_seconds:.2f}{validated} | {result.wall_seconds:.2f} | {result.peak_bytes / MIB:.0f} "
            f"| {result.written_bytes / MIB:.1f} | {result.output_bytes / MIB:.1f} | {result.output_files} "
            f"| {'n/a' if result.fsyncs is None else result.fsyncs} | {against(result, best, cpu)} "
            f"| {'agrees' if result.agrees else 'DIFFERS'} |")
    return rows + [""]


def goals(shown: dict) -> list[dict]:
    """Every goal and gate that these results can answer."""
    cpu = lambda r: r.cpu_seconds  # noqa: E731
    out = []
    for work, whom, most in CPU_GOALS:
        mine = shown.get((work, SKEIN))
        other = shown.get((work, whom)) if whom else best_peer(shown, work, cpu)
        if mine and other:
            out.append({"what": f"{work}: CPU against {other.contestant}", "found": mine.cpu_seconds / other.cpu_seconds,
                        "most": most, "kind": "goal"})
    for (work, contestant), result in shown.items():
        if contestant == SKEIN:
            out.append({"what": f"{work}: peak memory in MiB", "found": result.peak_bytes / MIB, "most": MOST_PEAK_BYTES / MIB,
                        "kind": "gate"})
            without = shown.get((work, SKEIN_UNVALIDATED))
            if without:
                out.append({"what": f"{work}: CPU with validation against without", "found": result.cpu_seconds / without.cpu_seconds,
                            "most": MOST_VALIDATION_RATIO, "kind": "gate"})
    for goal in out:
        goal["met"] = goal["found"] <= goal["most"]
    return out


def markdown(results: list[Result], about: dict) -> str:
    """The whole report."""
    shown = chosen(results)
    lines = ["# Skein and its peers, side by side", ""]
    lines += [f"* {key}: {value}" for key, value in about.items() if not isinstance(value, (dict, list))]
    for name, facts in about.get("data", {}).items():
        lines.append(f"* {name.upper()}: {facts['tables']} tables, {facts['rows']:,} rows ({facts['duplicate_rows']:,} of them exact duplicates), "
                     f"{facts['files']} files, {facts['bytes'] / MIB:.0f} MiB of snappy Parquet, {facts['partitions']} partitions a table")
    lines.append("")
    for work in WORKS:
        if any(r.work == work.name for r in results):
            lines += work_table(shown, work)
    answered = goals(shown)
    if answered:
        lines += ["### Goals and gates", "", "| | found | at most | |", "|---|---|---|---|"]
        lines += [f"| {g['kind']}: {g['what']} | {g['found']:.2f} | {g['most']:g} | {'met' if g['met'] else 'MISSED'} |" for g in answered]
        lines.append("")
    return "\n".join(lines)


def machine() -> dict:
    """What it was measured on."""
    model = next((line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), platform.processor())
    cores = sum(line.startswith("processor") for line in Path("/proc/cpuinfo").read_text().splitlines())
    return {"machine": f"{cores} cores, {model}", "kernel": platform.release()}


def write(folder: Path, name: str, results: list[Result], about: dict) -> str:
    """Writes both forms; gives the markdown."""
    folder.mkdir(parents=True, exist_ok=True)
    text = markdown(results, about)
    (folder / f"{name}.md").write_text(text)
    document = {"about": about, "goals": goals(chosen(results)), "results": [r.as_json() for r in results]}
    (folder / f"{name}.json").write_text(json.dumps(document, indent=1))
    return text

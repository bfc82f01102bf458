"""The fleet's figures as tables that a person reads.

In:    what `reference.py` and `capacity.py` measured.
Out:   markdown, and sentences for what is wrong.
Holds: a missed goal is written down and is no fault; a lost or doubled row is.
Not here: measuring.
"""

from __future__ import annotations

from statistics import median

# The goals of these measurements; they depend on who else uses the machine.
MOST_RATIO = 1.15
MOST_BYTES_PER_MIGRATION = 1024
LEAST_TIMES_RAY = 5


def of(part: str, figures: dict, about: dict) -> tuple[str, list[str]]:
    """The table of one part, and its faults."""
    head = [f"# {TITLES[part]}", "", *(f"* {key}: {value}" for key, value in about.items()), ""]
    rows, faults = {"skew": skew, "reference": reference, "queue": queue, "transitions": transitions}[part](figures)
    return "\n".join(head + rows + [""]), faults


TITLES = {
    "skew": "Five nodes of one slot, one dataset of 30 % of all work",
    "reference": "The reference fleet",
    "queue": "A long queue",
    "transitions": "Durable state transitions on three nodes",
}


def met(is_met: bool) -> str:
    return "met" if is_met else "MISSED"


def table(head: list[str], rows: list[list]) -> list[str]:
    return ["| " + " | ".join(head) + " |", "|" + "---|" * len(head), *("| " + " | ".join(map(str, row)) + " |" for row in rows), ""]


def skew(f: dict) -> tuple[list[str], list[str]]:
    spread = ", ".join(f"{node} {count} ({f['large_by_node'].get(node, 0)})" for node, count in sorted(f["by_node"].items()))
    rows = table(["", "found"], [
        ["datasets, batches", f"{f['tables']}, {f['batches']}"],
        ["bound: max(total / slots, longest batch)", f"{f['bound_seconds']:.1f} s"],
        ["makespan, first batch to last publication", f"{f['makespan_seconds']:.1f} s"],
        [f"ratio (goal: at most {MOST_RATIO})", f"{f['ratio']:.3f}: {met(f['ratio'] <= MOST_RATIO)}"],
        ["batches by node (of the large dataset)", spread],
        ["CPU of all nodes", f"{f['cpu_seconds']:.1f} s"],
    ])
    faults = list(f["wrong"])
    if f["batches_run"] != f["batches"]:
        faults.append(f"{f['batches_run']} batches ran, of {f['batches']}, and no node was killed")
    return rows, faults


def reference(f: dict) -> tuple[list[str], list[str]]:
    peaks = f["peak_mib"]
    rows = table(["", "found"], [
        ["nodes, slots each", f"{f['nodes']}, 1"],
        ["migrations, batches", f"{f['tables']}, {f['batches']}"],
        ["nodes killed with SIGKILL and started again", len(f["recoveries"])],
        ["published once, each row visible once, no file written twice", "yes" if not f["wrong"] else "NO"],
        ["equal states of all nodes at one index", "yes" if f["agree"] else "NO"],
        ["batches run, those begun anew after a kill included", f["batches_run"]],
        ["nodes that ran batches", len(f["by_node"])],
        ["time until the fleet had formed", f"{f['formed_seconds']:.1f} s"],
        ["submit of all migrations", f"{f['submit_seconds']:.2f} s"],
        ["bound: max(total / slots, longest batch)", f"{f['bound_seconds']:.1f} s"],
        ["makespan", f"{f['makespan_seconds']:.1f} s ({f['ratio']:.2f} of the bound)"],
        ["ledger entries", f["entries"]],
        ["CPU of all nodes", f"{f['cpu_seconds']:.1f} s"],
        ["peak memory of a node: median, largest", f"{median(peaks):.0f} MiB, {max(peaks):.0f} MiB"],
    ])
    rows += ["## Recovery", "", "From the kill until the session was over, and until everything that the node owned was owned by others.", ""]
    rows += table(["killed", "leader", "owned", "session over after s", "all adopted after s"], [
        [r["node"], "yes" if r["leader"] else "no", r["owned"], f"{r['detected_seconds']:.2f}", f"{r['adopted_seconds']:.2f}"] for r in f["recoveries"]])
    return rows, f["wrong"] + ([] if f["agree"] else ["states differ at one index"])


def queue(f: dict) -> tuple[list[str], list[str]]:
    memory = max(f["memory_bytes"])
    rows = table(["", "found"], [
        ["queued migrations, nodes", f"{f['migrations']:,}, {f['nodes']}"],
        ["submit: wall time of all", f"{f['submit_wall_seconds']:.2f} s"],
        ["submit: CPU of a migration", ", ".join(f"{micros:.1f} µs" for micros in f["submit_cpu_micros"])],
        [f"resident memory of a migration (goal: under {MOST_BYTES_PER_MIGRATION} bytes)", f"{memory:.0f} bytes: {met(memory < MOST_BYTES_PER_MIGRATION)}"],
        ["page of 100 in a list: CPU", f"{f['page_cpu_millis']:.2f} ms"],
        ["page of 100 in a list: wall", f"{f['page_wall_millis']:.2f} ms"],
    ])
    return rows, []


def transitions(f: dict) -> tuple[list[str], list[str]]:
    whole = f["whole"]
    made = whole["entries"] / whole["wall_seconds"]
    rows = table(["", "a second", ""], [
        ["migrations from submit to commit, batches of no time", f"{whole['migrations'] / whole['wall_seconds']:.0f}",
         f"{whole['migrations']} in {whole['wall_seconds']:.1f} s, {whole['cpu_seconds']:.1f} s CPU of all nodes"],
        ["ledger entries of these", f"{made:.0f}", f"{whole['entries'] / whole['migrations']:.1f} for each migration"],
        *([f"single transitions over HTTP, {c['callsAtOnce']} calls at once", f"{c['transitions'] / c['seconds']:.0f}",
           f"p50 {c['p50Micros'] / 1000:.1f} ms, p99 {c['p99Micros'] / 1000:.1f} ms"] for c in f["calls"]),
        *([f"{p['peer']}: trivial tasks, nothing kept", f"{p['rate']:.0f}", f"{p['tasks']} in {p['seconds']:.1f} s"] for p in f.get("peers", [])),
    ])
    ray = next((p["rate"] for p in f.get("peers", []) if p["peer"] == "ray"), None)
    best = max(made, *(c["transitions"] / c["seconds"] for c in f["calls"]))
    if ray:
        rows += [f"Goal: {LEAST_TIMES_RAY} times Ray's rate; found {best / ray:.2f} times: {met(best >= LEAST_TIMES_RAY * ray)}.", ""]
    return rows, whole["wrong"]

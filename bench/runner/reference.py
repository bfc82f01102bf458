"""The reference fleet and the skewed one: makespan, recovery, and that everything was done once.

In:    the programs, a scratch folder, sizes.
Out:   dictionaries of figures, and sentences for what is wrong.
Holds: verdicts come from the shared folder of the paced nodes, not from what a node says of itself.
Not here: starting nodes (`paced.py`).
"""

from __future__ import annotations

import random
import time
from pathlib import Path

from paced import Fleet, Programs, until, zipf

ROWS_PER_BATCH = 3


def verdict(fleet: Fleet, tables: int, batches: int) -> dict:
    """What the shared folder says: each table published once, each row visible once, no file written twice."""
    calls = fleet.calls()
    published = [call["target"] for call in calls if call["call"] == "published"]
    rows = fleet.visible_rows()
    wrong = list(fleet.violations())
    if len(published) != tables or len(set(published)) != tables:
        wrong.append(f"{len(published)} publications of {len(set(published))} names, of {tables} tables")
    if len(rows) != batches * ROWS_PER_BATCH or len(set(rows)) != len(rows):
        wrong.append(f"{len(rows)} visible rows, {len(set(rows))} different ones, of {batches * ROWS_PER_BATCH}")
    done = [call for call in calls if call["call"] == "run_batch" and call["outcome"] == "done"]
    by_node: dict[str, int] = {}
    for call in done:
        by_node[call["node"]] = by_node.get(call["node"], 0) + 1
    begun = [call["at"] for call in calls if call["call"] == "begin_batch"]
    ended = [call["at"] for call in calls if call["call"] == "published"]
    makespan = (max(ended) - min(begun)) / 1000 if begun and ended else float("nan")
    return {"makespan_seconds": makespan, "batches_run": len(done), "batches": batches, "tables": tables, "by_node": by_node, "wrong": wrong}


def committed(fleet: Fleet, tables: int) -> bool:
    phases = fleet.phases()
    stuck = {phase: count for phase, count in phases.items() if phase in ("paused", "quarantined", "cancelled") and count}
    if stuck:
        raise RuntimeError(f"stuck: {stuck}")
    return phases.get("committed", 0) == tables


def kill_and_measure(fleet: Fleet, victim) -> dict:
    """Kills a node, and waits until everything that it owned is owned by others; starts it again."""
    asked = next(node for node in fleet.running() if node is not victim)
    owned = (fleet.row(victim, asked) or {}).get("owned", 0)
    leader = (fleet.try_get("/v1/fleet", asked) or {}).get("leader") == victim.id
    victim.kill()
    killed, detected = time.monotonic(), None

    def look():
        nonlocal detected
        row = fleet.row(victim, asked)
        if row is None:
            return False
        if detected is None and row["standing"] != "active":
            detected = time.monotonic() - killed
        return detected is not None and row["owned"] == 0

    until(f"{victim.name}'s work is adopted", look)
    adopted = time.monotonic() - killed
    victim.restart()
    return {"node": victim.name, "leader": leader, "owned": owned, "detected_seconds": detected, "adopted_seconds": adopted}


def skewed(programs: Programs, root: Path, nodes: int, total: float, large: float, datasets: int, longest: float) -> dict:
    """One dataset is `large` of all work; everything is submitted to one node."""
    batches = max(nodes * 4, int(total * large / longest) + 1)
    groups = [{"name": "large", "batches": batches, "seconds": total * large / batches, "rows": ROWS_PER_BATCH}]
    groups += zipf(total * (1 - large), datasets, longest)
    with Fleet(root, programs, 1, {"pace": 1.0, "groups": groups}) as fleet:
        fleet.grow(nodes)
        before = fleet.cpu_seconds()
        fleet.apply("skew", "paced.*", fleet.nodes[0])
        until("everything is committed", lambda: committed(fleet, datasets + 1), patience=total * 2 + 120)
        figures = verdict(fleet, datasets + 1, sum(group["batches"] for group in groups))
        figures["cpu_seconds"] = fleet.cpu_seconds() - before
        figures["large_by_node"] = large_by_node(fleet)
    figures["bound_seconds"] = max(total / nodes, max(group["seconds"] for group in groups))
    figures["ratio"] = figures["makespan_seconds"] / figures["bound_seconds"]
    return figures


def large_by_node(fleet: Fleet) -> dict:
    by_node: dict[str, int] = {}
    for call in fleet.calls():
        if call["call"] == "run_batch" and "large" in call["dataset"]:
            by_node[call["node"]] = by_node.get(call["node"], 0) + 1
    return by_node


def reference(programs: Programs, root: Path, nodes: int, migrations: int, total: float, kills: int, seed: int) -> dict:
    """Many nodes, many migrations of unequal size, several kills on the way."""
    chance = random.Random(seed)
    groups = zipf(total, migrations, longest=10.0, exponent=0.7)
    batches = sum(group["batches"] for group in groups)
    with Fleet(root, programs, 1, {"pace": 1.0, "groups": groups}) as fleet:
        started = time.monotonic()
        fleet.grow(nodes)
        formed = time.monotonic() - started
        before = fleet.cpu_seconds()
        started = time.monotonic()
        fleet.apply("reference", "paced.*", fleet.nodes[0])
        submitted = time.monotonic() - started
        recoveries = []
        for number in range(kills):
            wanted = migrations * (number + 1) // (kills + 2)
            until(f"{wanted} are committed", lambda wanted=wanted: fleet.phases().get("committed", 0) >= wanted, patience=1800, every=0.2)
            leader = fleet.get("/v1/fleet")["leader"]
            # The second victim is the leader, the others are anybody.
            among = [node for node in fleet.running() if (node.id == leader) == (number == 1)]
            recoveries.append(kill_and_measure(fleet, chance.choice(among)))
        until("everything is committed", lambda: committed(fleet, migrations), patience=1800, every=0.2)
        cpu = fleet.cpu_seconds() - before
        figures = verdict(fleet, migrations, batches)
        for node in fleet.running():
            node.note_usage()
        digests = agreement(fleet)
        figures |= {
            "nodes": nodes, "formed_seconds": formed, "submit_seconds": submitted, "cpu_seconds": cpu, "recoveries": recoveries,
            "peak_mib": sorted(node.peak_bytes / (1 << 20) for node in fleet.nodes), "entries": digests[0]["index"],
            "agree": len({digest["digest"] for digest in digests}) == 1,
        }
    figures["bound_seconds"] = max(total / nodes, max(group["seconds"] for group in groups))
    figures["ratio"] = figures["makespan_seconds"] / figures["bound_seconds"]
    return figures


def agreement(fleet: Fleet) -> list[dict]:
    """Digests of all nodes at one index."""
    def look():
        found = [fleet.try_get("/v1/debug/digest", node) for node in fleet.running()]
        return found if all(found) and len({digest["index"] for digest in found}) == 1 else None

    return until("all nodes have applied the same entries", look, every=0.2)

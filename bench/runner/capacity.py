"""What a long queue costs, and how many durable transitions a second a fleet makes, beside schedulers that keep nothing.

In:    the programs, a scratch folder, sizes.
Out:   dictionaries of figures.
Holds: costs are the kernel's figures of the node processes, before and after.
Not here: starting nodes (`paced.py`), the peers' own programs (`peers/tasks.py`).
"""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

from paced import Fleet, Programs, until
from reference import committed, verdict

# Policies of this many migrations each.
PER_POLICY = 10_000
# Longer than any measurement: what is being inspected stays so, and what is queued stays queued.
FOREVER_SECONDS = 86_400.0
PAGES = 200
PEER_RUNS = 3


def queued(programs: Programs, root: Path, migrations: int, nodes: int) -> dict:
    """Submits migrations that stay queued; what that and a page of a list cost."""
    policies = migrations // PER_POLICY
    groups = [{"name": f"wave{n:04}", "datasets": PER_POLICY, "seconds": 1} for n in range(policies)]
    with Fleet(root, programs, 1, {"inspectSeconds": FOREVER_SECONDS, "groups": groups}, alone=nodes == 1) as fleet:
        fleet.grow(nodes)
        before = [node.usage() for node in fleet.nodes]
        started = time.monotonic()
        created = sum(fleet.apply(f"wave-{n:04}", f"paced.wave{n:04}_*", fleet.nodes[0])["created"] for n in range(policies))
        submit_wall = time.monotonic() - started
        settle(fleet)
        after = [node.usage() for node in fleet.nodes]
        page_cpu, page_wall = list_pages(fleet)
    return {
        "migrations": created, "nodes": nodes,
        "submit_wall_seconds": submit_wall,
        "submit_cpu_micros": [(b[0] - a[0]) / created * 1e6 for a, b in zip(before, after)],
        "memory_bytes": [(b[1] - a[1]) / created for a, b in zip(before, after)],
        "page_cpu_millis": page_cpu * 1e3 / PAGES, "page_wall_millis": page_wall * 1e3 / PAGES,
    }


def settle(fleet: Fleet) -> None:
    """Until all nodes have applied the same entries and do next to nothing."""
    def look():
        found = [fleet.try_get("/v1/status", node) for node in fleet.nodes]
        return all(found) and len({status["appliedIndex"] for status in found}) == 1

    until("all nodes have applied the same entries", look, every=0.5)
    time.sleep(3)


def list_pages(fleet: Fleet) -> tuple[float, float]:
    """Reads pages of a hundred rows, one after the other; CPU and wall seconds."""
    node, cursor = fleet.nodes[0], ""
    cpu, started = node.usage()[0], time.monotonic()
    for _ in range(PAGES):
        page = fleet.call(node, f"/v1/migrations?limit=100{cursor}")
        cursor = f"&cursor={page['next']}" if page.get("next") else ""
    return node.usage()[0] - cpu, time.monotonic() - started


def transitions(programs: Programs, root: Path, nodes: int, migrations: int, seconds: float) -> dict:
    """Migrations whose batches take no time, from submit to commit; then single transitions asked over HTTP."""
    groups = [{"name": "instant", "datasets": migrations, "seconds": 0, "rows": 3}, {"name": "waiting", "datasets": 1000, "seconds": 3600}]
    with Fleet(root, programs, 16, {"groups": groups}, alone=nodes == 1) as fleet:
        fleet.grow(nodes)
        index, cpu = fleet.get("/v1/status")["appliedIndex"], fleet.cpu_seconds()
        started = time.monotonic()
        fleet.apply("instant", "paced.instant_*", fleet.nodes[0])
        until("everything is committed", lambda: committed(fleet, migrations), patience=900, every=0.1)
        wall = time.monotonic() - started
        whole = {"migrations": migrations, "wall_seconds": wall, "entries": fleet.get("/v1/status")["appliedIndex"] - index,
                 "cpu_seconds": fleet.cpu_seconds() - cpu, "wrong": verdict(fleet, migrations, migrations)["wrong"] if migrations else []}
        whole["history"] = sum(len(fleet.get(f"/v1/migrations/{row['id']}")["history"]) for row in sample(fleet)) / 20
        fleet.apply("waiting", "paced.waiting_*", fleet.nodes[0], {"approval": {"required": True}})
        until("they wait for approval", lambda: fleet.phases().get("approval", 0) == 1000, every=0.1)
        calls = [single(programs, fleet, at_once, seconds) for at_once in (1, 64, 256)]
    return {"nodes": nodes, "whole": whole, "calls": calls}


def sample(fleet: Fleet) -> list[dict]:
    return fleet.get("/v1/migrations?policy=instant&limit=20")["items"]


def single(programs: Programs, fleet: Fleet, at_once: int, seconds: float) -> dict:
    command = [programs.skein_bench, "load", "--token-file", str(fleet.token_file()), "--policy", "waiting",
               "--calls", str(at_once), "--seconds", str(seconds)]
    for node in fleet.nodes:
        command += ["--api", node.api]
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode != 0:
        raise RuntimeError(run.stderr[-2000:])
    return json.loads(run.stdout)


def peers(python: str, program: Path, tasks: int) -> list[dict]:
    """Trivial tasks a second of other schedulers on this machine: the best of some runs each, as neighbours disturb them."""
    found = []
    for name in ("ray", "dask"):
        runs = []
        for _ in range(PEER_RUNS):
            run = subprocess.run([python, str(program), name, str(tasks)], capture_output=True, text=True)
            if run.returncode != 0:
                raise RuntimeError(f"{name}: {run.stderr[-2000:]}")
            runs.append(json.loads(run.stdout.splitlines()[-1]))
        found.append(max(runs, key=lambda one: one["rate"]))
    return found

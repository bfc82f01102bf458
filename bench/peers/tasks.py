#!/usr/bin/env python3
"""Trivial tasks a second of Ray and Dask on this machine: tasks that do nothing, whose state is kept in memory.

In:    `ray` or `dask`, how many tasks.
Out:   a line of JSON: tasks, seconds from the first submit to the last result.
"""

from __future__ import annotations

import json
import os
import sys
import time

WORKERS = os.cpu_count() or 1
WARM_UP = 500


def nothing(number: int = 0) -> int:
    return number


def with_ray(tasks: int) -> float:
    import ray

    ray.init(num_cpus=WORKERS, include_dashboard=False, log_to_driver=False, logging_level="error")
    task = ray.remote(nothing)
    ray.get([task.remote(n) for n in range(WARM_UP)])
    started = time.monotonic()
    ray.get([task.remote(n) for n in range(tasks)])
    seconds = time.monotonic() - started
    ray.shutdown()
    return seconds


def with_dask(tasks: int) -> float:
    from dask.distributed import Client, LocalCluster

    with LocalCluster(n_workers=WORKERS, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster) as client:
        client.gather(client.map(nothing, range(WARM_UP), pure=False))
        started = time.monotonic()
        client.gather(client.map(nothing, range(tasks), pure=False))
        return time.monotonic() - started


if __name__ == "__main__":
    name, count = sys.argv[1], int(sys.argv[2])
    taken = {"ray": with_ray, "dask": with_dask}[name](count)
    print(json.dumps({"peer": name, "tasks": count, "seconds": taken, "rate": count / taken}))

"""Starts Skein for one piece of work: a node as its own process, and the command line beside it.

In:    a warehouse folder, a scratch folder, what to do.
Out:   the finished catalog, and what the node and the command line cost together.
Holds: the only place in the benchmark that knows the node's configuration and the command line.
Not here: how costs are taken (`measure.py`), what is compared (`works.py`).
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import measure

# A node that does not answer within this time is broken; starting takes well under a second.
START_SECONDS = 60.0
CATALOG_NAME = "skein"


@dataclass(frozen=True)
class Binaries:
    """The two programs."""

    node: Path
    cli: Path


def policy(clean: bool, validate: bool) -> dict:
    """The work as a policy. YAML is a superset of JSON, so JSON it is."""
    spec: dict = {
        "source": {"connection": "legacy", "include": ["*.*"]},
        "target": {"connection": "lake", "name": "{database}.{table}", "partitioning": "keep"},
        "strategy": "auto",
        "approval": {"required": False},
    }
    if clean:
        spec["schema"] = {"add": [{"name": "description", "type": "string", "default": ""}]}
        spec["clean"] = [{"dropDuplicates": "exact"}]
    if not validate:
        # A table is never published uncounted.
        spec["validate"] = {"eachBatch": [], "final": ["count"]}
    metadata = {"name": "bench", "owner": "bench"}
    return {"apiVersion": "skein/v1", "kind": "MigrationPolicy", "metadata": metadata, "spec": spec}


def node_config(source: Path, out: Path, port: int, isolation: str | None = None) -> dict:
    """The node's configuration: all defaults but where things are, and where files are decoded if that is compared."""
    return {
        **({"engine": {"isolation": isolation}} if isolation else {}),
        "node": {"dataDir": str(out / "node"), "listen": f"127.0.0.1:{port}"},
        "connections": {
            "legacy": {"kind": "hive-files", "warehouse": str(source)},
            "lake": {
                "kind": "iceberg",
                "catalogFile": str(out / "catalog.sqlite"),
                "catalogName": CATALOG_NAME,
                "warehouse": str(out / "warehouse"),
            },
        },
    }


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Fleet:
    """One running node."""

    def __init__(self, binaries: Binaries, source: Path, out: Path, sync_summary: Path | None,
                 isolation: str | None = None) -> None:
        self.binaries, self.out = binaries, out
        (out / "warehouse").mkdir(parents=True)
        self.port = free_port()
        config = out / "node.yaml"
        config.write_text(json.dumps(node_config(source, out, self.port, isolation), indent=1))
        self.cli_cost = measure.NOTHING
        self.node = measure.Process([str(binaries.node), "--config", str(config)], out / "node.log",
                                    sync_summary=sync_summary, stdout=subprocess.DEVNULL)

    def cli(self, *words: str) -> str:
        """Runs `skein`; its cost is part of the whole."""
        environment = {
            **os.environ,
            "SKEIN_SERVER": f"http://127.0.0.1:{self.port}",
            "SKEIN_TOKEN_FILE": str(self.out / "node" / "token"),
        }
        output, cost, _ = measure.run([str(self.binaries.cli), *words], self.out / "cli.log", env=environment)
        self.cli_cost = self.cli_cost.plus(cost)
        return output

    def listed(self) -> str:
        """What became of the migrations, for the message of a failed run."""
        try:
            return self.cli("list", "--limit", "5", "--phase", "paused,quarantined,approval,cancelled")
        except RuntimeError as error:
            return str(error)

    def await_ready(self) -> None:
        """Until the node can record facts."""
        deadline = time.monotonic() + START_SECONDS
        while True:
            if self.node.ended():
                raise RuntimeError(f"skein-node ended\n{self.node.tail()}")
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=5):
                    return
            except OSError:
                if time.monotonic() > deadline:
                    raise RuntimeError(f"skein-node does not answer\n{self.node.tail()}") from None
                time.sleep(0.02)


def run(binaries: Binaries, source: Path, out: Path, *, clean: bool, validate: bool, sync_summary: Path | None,
        isolation: str | None = None) -> dict:
    """One measured run. The clock runs from the start of the node to its end."""
    out.mkdir(parents=True)
    document = out / "policy.yaml"
    document.write_text(json.dumps(policy(clean, validate), indent=1))
    started = time.monotonic()
    fleet = Fleet(binaries, source, out, sync_summary, isolation)
    try:
        fleet.await_ready()
        fleet.cli("apply", str(document), "--wait", "-o", "json")
    except RuntimeError as error:
        raise RuntimeError(f"{error}\n{fleet.listed()}\n{fleet.node.tail()}") from None
    finally:
        _, node_cost = fleet.node.stop()
    wall = time.monotonic() - started
    return {"cost": node_cost.plus(fleet.cli_cost), "wall_seconds": wall, "catalog_name": CATALOG_NAME}

"""A fleet of paced nodes: real node processes whose data plane takes a stated time and moves next to nothing.

In:    a folder, the programs, a script of datasets.
Out:   running nodes; what their API says; what their data plane did.
Holds: the only place of the fleet's measurements that knows configuration, command line and API.
Not here: what is measured (`reference.py`, `capacity.py`).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

# What has not happened by then never will.
PATIENCE_SECONDS = 300.0
LOOK_SECONDS = 0.02
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def until(what: str, look, patience: float = PATIENCE_SECONDS, every: float = LOOK_SECONDS):
    """Looks until there is something to see."""
    deadline = time.monotonic() + patience
    while True:
        seen = look()
        if seen is not None and seen is not False:
            return seen
        if time.monotonic() > deadline:
            raise RuntimeError(f"in vain: {what}")
        time.sleep(every)


@dataclass
class Programs:
    """The folder of a build."""

    folder: Path

    def __getattr__(self, name: str) -> str:
        return str(self.folder / name.replace("_", "-"))


class Node:
    """One process, with its folder."""

    def __init__(self, fleet: "Fleet", number: int, join: tuple[str, str] | None) -> None:
        self.fleet, self.name = fleet, f"node-{number}"
        self.folder = fleet.root / self.name
        self.folder.mkdir(parents=True)
        self.log = self.folder / "log"
        self.cpu_of_earlier, self.peak_bytes = 0.0, 0
        self.data = self.folder / "data"
        if join is None and not fleet.alone:
            self.found()
        self.configure("127.0.0.1:0", "127.0.0.1:0")
        self.start(join)

    def found(self) -> None:
        """Founds the fleet; the data folder is what matters of it."""
        command = [self.fleet.programs.skein_paced_node, "init", "--dir", str(self.folder)]
        founded = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
        self.data = Path(founded["dataDir"])

    def configure(self, api: str, endpoint: str) -> None:
        config = {
            "node": {"dataDir": str(self.data), "listen": api, "slots": self.fleet.slots},
            "connections": self.fleet.connections(),
        }
        if not self.fleet.alone:
            config["fleet"] = {"listen": endpoint}
        (self.folder / "node.yaml").write_text(json.dumps(config, indent=1))

    def start(self, join: tuple[str, str] | None = None) -> None:
        command = [self.fleet.programs.skein_paced_node, "--config", str(self.folder / "node.yaml"), "--log", "warn,skein_node=info"]
        if join:
            command += ["--join", join[0], "--token", join[1]]
        self.seen = self.log.stat().st_size if self.log.exists() else 0
        with open(self.log, "ab") as output:
            self.child = subprocess.Popen(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL,
                                          env={**os.environ, "SKEIN_PACED_NAME": self.name})

    def listens(self) -> None:
        """Waits for the lines that say where it listens, and keeps to these places."""
        def look():
            if self.child.poll() is not None:
                raise RuntimeError(f"{self.name} ended with {self.child.returncode}\n{self.log.read_text()[-3000:]}")
            text = self.log.read_bytes()[self.seen:].decode(errors="replace")
            api = next((line for line in text.splitlines() if line.startswith("skein-node ") and " listens at " in line), None)
            endpoint = next((line for line in text.splitlines() if line.startswith("fleet at ")), "" if self.fleet.alone else None)
            return (api, endpoint) if api and endpoint is not None else None

        api, endpoint = until(f"{self.name} says where it listens", look)
        self.id = int(api.split()[1])
        self.api = api.split(" listens at ")[1].split(";")[0]
        self.endpoint = endpoint.removeprefix("fleet at ").split(";")[0]
        self.configure(self.api.removeprefix("http://"), self.endpoint)

    def usage(self) -> tuple[float, int]:
        """CPU seconds and resident bytes of the present process."""
        fields = Path(f"/proc/{self.child.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS, int(fields[21]) * PAGE_BYTES

    def peak(self) -> int:
        """The largest resident memory of the present process so far, bytes."""
        lines = Path(f"/proc/{self.child.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))

    def note_usage(self) -> None:
        self.cpu_of_earlier += self.usage()[0]
        self.peak_bytes = max(self.peak_bytes, self.peak())

    def kill(self) -> None:
        self.note_usage()
        self.child.send_signal(signal.SIGKILL)
        self.child.wait()

    def restart(self) -> None:
        self.start()
        self.listens()

    def end(self) -> None:
        if self.child.poll() is None:
            self.child.kill()
            self.child.wait()


class Fleet:
    """Nodes that form one fleet, and a client that asks any of them."""

    def __init__(self, root: Path, programs: Programs, slots: int, script: dict, alone: bool = False) -> None:
        """`alone`: one node that is no fleet."""
        self.root, self.programs, self.slots, self.alone, self.nodes = root, programs, slots, alone, []
        for name in ("source", "lake", "catalog"):
            (root / name).mkdir(parents=True)
        (root / "source" / "paced.json").write_text(json.dumps(script))

    def connections(self) -> dict:
        return {
            "legacy": {"kind": "hive-files", "warehouse": str(self.root / "source")},
            "lake": {"kind": "iceberg", "catalogFile": str(self.root / "catalog"), "warehouse": str(self.root / "lake")},
        }

    def __enter__(self) -> "Fleet":
        return self

    def __exit__(self, *_) -> None:
        for node in self.nodes:
            node.end()

    def grow(self, nodes: int, at_once: int = 5) -> None:
        """Founds the fleet, or lets more nodes join, a few at a time."""
        if not self.nodes:
            self.nodes.append(Node(self, 1, None))
            self.nodes[0].listens()
            nodes -= 1
        while nodes > 0:
            group = [Node(self, len(self.nodes) + 1 + n, (self.nodes[0].endpoint, self.join_token())) for n in range(min(nodes, at_once))]
            for node in group:
                node.listens()
            self.nodes += group
            nodes -= len(group)
            self.await_active(len(self.nodes))
        until("as many nodes vote as may", lambda: len(self.get("/v1/fleet")["voters"]) == most_voters(len(self.nodes)), every=0.2)

    def join_token(self) -> str:
        environment = {**os.environ, "SKEIN_SERVER": self.nodes[0].api, "SKEIN_TOKEN_FILE": str(self.token_file())}
        output = subprocess.run([self.programs.skein, "fleet", "token"], env=environment, check=True, capture_output=True, text=True).stdout
        return next(word for word in output.split() if word.startswith("skein-join."))

    def token_file(self) -> Path:
        return self.nodes[0].data / "token"

    def await_active(self, nodes: int) -> dict:
        def look():
            view = self.try_get("/v1/fleet")
            active = [row for row in (view or {}).get("nodes", []) if row["standing"] == "active"]
            return view if view and len(active) == nodes and view["leader"] is not None else None

        return until(f"{nodes} nodes are active", look, every=0.1)

    def running(self) -> list[Node]:
        return [node for node in self.nodes if node.child.poll() is None]

    def call(self, node: Node, path: str, body: str | None = None, key: str | None = None):
        request = urllib.request.Request(node.api + path, data=None if body is None else body.encode())
        request.add_header("Authorization", f"Bearer {self.token_file().read_text().strip()}")
        if key:
            request.add_header("Idempotency-Key", key)
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.load(answer)

    def try_get(self, path: str, node: Node | None = None):
        try:
            return self.call(node or self.running()[0], path)
        except OSError:
            return None

    def get(self, path: str, node: Node | None = None):
        return until(path, lambda: self.try_get(path, node))

    def apply(self, name: str, include: str, node: Node | None = None, more: dict | None = None) -> dict:
        """Submits a policy; some node must acknowledge it."""
        spec = {"source": {"connection": "legacy", "include": [include]}, "target": {"connection": "lake"},
                "approval": {"required": False}, **(more or {})}
        policy = json.dumps({"apiVersion": "skein/v1", "kind": "MigrationPolicy", "metadata": {"name": name, "owner": "bench"}, "spec": spec})

        def look():
            try:
                return self.call(node or self.running()[0], "/v1/policies", policy, name)
            except urllib.error.HTTPError as error:
                if error.code < 500:
                    raise RuntimeError(error.read().decode()) from None
                return None
            except OSError:
                return None

        return until(f"{name} is acknowledged", look)

    def phases(self) -> dict:
        return self.get("/v1/status")["phases"]

    def row(self, node: Node, asked: Node | None = None) -> dict | None:
        view = self.try_get("/v1/fleet", asked)
        return next((row for row in (view or {}).get("nodes", []) if row["node"] == node.id), None)

    def cpu_seconds(self) -> float:
        """CPU seconds of all processes so far, ended ones included."""
        return sum(node.cpu_of_earlier + (node.usage()[0] if node.child.poll() is None else 0.0) for node in self.nodes)

    def calls(self) -> list[dict]:
        """Every call of every node's data plane, in the order of time."""
        found = []
        for file in (self.root / "lake" / "trace").glob("*.jsonl"):
            for line in file.read_text().splitlines():
                try:
                    found.append(json.loads(line))
                except ValueError:
                    # A killed node may leave half a line.
                    continue
        return sorted(found, key=lambda call: call["at"])

    def violations(self) -> list[str]:
        file = self.root / "lake" / "violations.log"
        return file.read_text().splitlines() if file.exists() else []

    def visible_rows(self) -> list[int]:
        """The numbers in all visible tables."""
        rows = []
        for name in (self.root / "catalog").iterdir():
            if name.is_file() and name.name != ".lock":
                for file in json.loads(Path(name.read_text()).read_text())["files"]:
                    rows += [int(line.split()[0]) for line in Path(file).read_text().splitlines()]
        return rows


def most_voters(nodes: int) -> int:
    """The greatest odd number that is not above the number of nodes, nor above five."""
    return 1 if nodes < 3 else 3 if nodes < 5 else 5


def zipf(total: float, datasets: int, longest: float, exponent: float = 1.0) -> list[dict]:
    """Groups whose sizes fall as a power of their rank and add up to `total` seconds; batches are at most `longest`."""
    weights = [1 / rank ** exponent for rank in range(1, datasets + 1)]
    groups = []
    for rank, weight in enumerate(weights, 1):
        seconds = total * weight / sum(weights)
        batches = max(1, -(-seconds // longest))
        groups.append({"name": f"rank{rank:05}", "batches": int(batches), "seconds": seconds / batches, "rows": 3})
    return groups

#!/usr/bin/env python3
"""A service that tests need, running for as long as this program's standard input is open.

  service.py seaweedfs DIR    S3 and an Iceberg REST catalog over it
  service.py postgres DIR     PostgreSQL
  service.py metastore DIR    a Hive Metastore (needs the packages of `spark.txt` and Java 17)

In:    a folder of the test's own.
Out:   one line of JSON when the service answers: where it listens and with which credentials.
Holds: the ports, which nobody else had a moment ago.
Not here: what is done with it.
"""

from __future__ import annotations

import base64
import json
import os
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from pathlib import Path

KEY, SECRET = "tester", "secret-of-the-test"
# The role in whose name the catalog gives out credentials for one table's folder each, and who may take it.
ROLE = "arn:aws:iam::role/Vendor"
IAM = {
    "sts": {"tokenDuration": "1h", "maxSessionLength": "12h", "issuer": "seaweedfs-sts",
            "signingKey": base64.b64encode(b"signs the tokens of tests alone.").decode()},
    "policy": {"defaultEffect": "Deny", "storeType": "memory"},
    "policies": [{"name": "Lake", "document": {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": ["s3:*"], "Resource": ["arn:aws:s3:::warehouse", "arn:aws:s3:::warehouse/*"]}]}}],
    "roles": [{"roleName": "Vendor", "roleArn": ROLE, "attachedPolicies": ["Lake"], "trustPolicy": {
        "Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Federated": "iceberg-catalog"},
                                                "Action": ["sts:AssumeRoleWithCredentials"]}]}}],
    "providers": [],
}
# weed's listeners; each of them listens somewhere even if nobody asks for it.
PORTS = ["master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port", "filer.port.grpc",
         "s3.port", "s3.port.grpc", "s3.port.iceberg", "s3.port.lance", "webdav.port", "admin.port", "admin.port.grpc"]
PATIENCE_SECONDS = 120


def free_ports(number: int) -> list[int]:
    """Ports of the loopback interface that are free, all different."""
    held = [socket.socket() for _ in range(number)]
    for one in held:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


def has_warehouse(rest: str) -> bool:
    """Whether the catalog answers for its warehouse, which is made after it begins to listen."""
    form = {"grant_type": "client_credentials", "client_id": KEY, "client_secret": SECRET, "scope": "catalog"}
    try:
        with urllib.request.urlopen(f"{rest}/v1/oauth/tokens", urllib.parse.urlencode(form).encode(), timeout=5) as answer:
            token = json.load(answer)["access_token"]
        request = urllib.request.Request(f"{rest}/v1/warehouse/namespaces", headers={"Authorization": f"Bearer {token}"})
        return urllib.request.urlopen(request, timeout=5).status == 200
    except OSError:
        return False


def seaweedfs(folder: Path) -> None:
    ports = dict(zip(PORTS, free_ports(len(PORTS))))
    (folder / "iam.json").write_text(json.dumps(IAM))
    command = [str(Path(sys.executable).parent / "weed"), "mini", f"-dir={folder}", "-ip=127.0.0.1",
               "-ip.bind=127.0.0.1", "-master.telemetry=false", "-tableBucket=warehouse", "-bucket=plain",
               f"-s3.iam.config={folder / 'iam.json'}", f"-s3.iceberg.credentialRole={ROLE}",
               *(f"-{name}={port}" for name, port in ports.items())]
    environment = {**os.environ, "AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}
    with open(folder / "weed.log", "wb") as log:
        child = subprocess.Popen(command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        s3, rest = (f"http://127.0.0.1:{ports[name]}" for name in ("s3.port", "s3.port.iceberg"))
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not has_warehouse(rest):
            if child.poll() is not None or time.monotonic() > deadline:
                sys.exit("weed does not come up:\n" + (folder / "weed.log").read_text(errors="replace")[-4000:])
            time.sleep(0.1)
        announce({"s3": s3, "rest": rest, "key": KEY, "secret": SECRET})
    finally:
        child.kill()
        child.wait()


def postgres(folder: Path) -> None:
    import pgserver

    server = pgserver.get_server(folder, cleanup_mode="stop")
    try:
        announce({"url": server.get_uri()})
    finally:
        server.cleanup()


def metastore(folder: Path) -> None:
    from metastore import free_port, start_metastore

    # Java names files in the encoding of the locale.
    os.environ["LC_ALL"] = "C.UTF-8"
    port = free_port()
    server = start_metastore(folder, port)
    try:
        announce({"uri": f"thrift://127.0.0.1:{port}"})
    finally:
        server.kill()
        server.wait()


def announce(where: dict[str, str]) -> None:
    print(json.dumps(where), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    {"seaweedfs": seaweedfs, "postgres": postgres, "metastore": metastore}[sys.argv[1]](Path(sys.argv[2]))

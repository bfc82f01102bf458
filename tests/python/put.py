#!/usr/bin/env python3
"""Copies a folder into an object store: a writer that is none of the program under test.

In:    on standard input, JSON: {"endpoint": "host:port", "key": "…", "secret": "…", "region": "…", "from": "/folder", "to": "bucket/prefix"}.
Out:   the objects, and the marks of folders that such tools leave.
"""

from __future__ import annotations

import json
import sys

from pyarrow import fs


def main() -> None:
    wanted = json.load(sys.stdin)
    store = fs.S3FileSystem(
        access_key=wanted["key"], secret_key=wanted["secret"], region=wanted["region"],
        endpoint_override=wanted["endpoint"], scheme="http",
    )
    fs.copy_files(wanted["from"], wanted["to"], source_filesystem=fs.LocalFileSystem(), destination_filesystem=store)


if __name__ == "__main__":
    main()

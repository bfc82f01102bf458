#!/usr/bin/env python3
"""Writes the Parquet files of a test's warehouse: a writer that is none of the program under test.

In:    on standard input, JSON: [{"path": "/absolute/file", "sql": "SELECT …", "row_group_rows": 2048}, …];
       the rows of each file are a DuckDB query, row_group_rows may be left out.
Out:   the files, their folders made where they are not there.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import duckdb

from hive_source import literal


def main() -> None:
    connection = duckdb.connect(config={"threads": "2"})
    for file in json.load(sys.stdin):
        path = Path(file["path"])
        path.parent.mkdir(parents=True, exist_ok=True)
        options = "FORMAT parquet, COMPRESSION snappy"
        if rows := file.get("row_group_rows"):
            options += f", ROW_GROUP_SIZE {rows}"
        connection.execute(f"COPY ({file['sql']}) TO {literal(str(path))} ({options})")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""The lake as an outsider finds it: which tables are visible, what they refer to, and how others change them.

  lake.py --catalog CATALOG list                          every visible table: metadata, rows, spec, files
  lake.py --catalog CATALOG count NAMESPACE.TABLE FILTER  rows that pyiceberg finds with a row filter
  lake.py --catalog CATALOG append NAMESPACE.TABLE        appends the table's first row once more, as somebody else
  lake.py --catalog CATALOG create NAMESPACE.TABLE DIR    makes a table of somebody else, with one row, under DIR
  lake.py --catalog CATALOG remove NAMESPACE.TABLE        takes the name out of the catalog

Prints JSON. `files` are all local paths that the current metadata refers to, itself included.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import pyarrow as pa
from pyiceberg.catalog.sql import SqlCatalog

import iceberg_target
from iceberg_target import local_path


def referred(table) -> list[str]:
    """Every file that the table's metadata refers to."""
    files = {local_path(table.metadata_location)}
    for snapshot in table.metadata.snapshots:
        files.add(local_path(snapshot.manifest_list))
        for manifest in snapshot.manifests(table.io):
            files.add(local_path(manifest.manifest_path))
            for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=True):
                files.add(local_path(entry.data_file.file_path))
    return sorted(files)


def described(catalog_file: Path, tables: iceberg_target.PyIcebergTables) -> dict:
    """Every visible table by name."""
    out = {}
    entries = iceberg_target.entries(catalog_file) if catalog_file.is_file() else []
    for entry in entries:
        table = tables.load(entry)
        snapshots = table.metadata.snapshots
        out[f"{entry.namespace}.{entry.table}"] = {
            "metadata": local_path(entry.metadata_location),
            "uuid": str(table.metadata.table_uuid),
            "rows": table.scan().to_arrow().num_rows if snapshots else 0,
            "snapshots": len(snapshots),
            "summary": dict(snapshots[-1].summary.additional_properties) if snapshots else {},
            "properties": dict(table.properties),
            "columns": {field.name: str(field.field_type) for field in table.schema().fields},
            "partitioning": {field.name: str(field.transform) for field in table.spec().fields},
            "format_version": table.metadata.format_version,
            "sort": [
                f"{table.schema().find_column_name(field.source_id)} {field.direction} {field.null_order}"
                for field in table.sort_order().fields
            ],
            "files": referred(table),
        }
    return out


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--catalog", type=Path, required=True)
    parser.add_argument("verb", choices=["list", "count", "append", "create", "remove"])
    parser.add_argument("rest", nargs="*")
    args = parser.parse_args()
    tables = iceberg_target.PyIcebergTables(args.catalog)
    answer: object = None
    if args.verb == "list":
        answer = described(args.catalog, tables)
    elif args.verb == "count":
        entry = iceberg_target.find(args.catalog, args.rest[0])
        answer = tables.load(entry).scan(row_filter=args.rest[1]).to_arrow().num_rows
    elif args.verb == "append":
        table = tables.load(iceberg_target.find(args.catalog, args.rest[0]))
        table.append(table.scan(limit=1).to_arrow())
    elif args.verb == "create":
        catalog = SqlCatalog("skein", uri=f"sqlite:///{args.catalog}", warehouse=f"file://{args.rest[1]}")
        namespace, _, _ = args.rest[0].partition(".")
        catalog.create_namespace_if_not_exists(namespace)
        rows = pa.table({"mine": ["a row of somebody else"]})
        catalog.create_table(args.rest[0], schema=rows.schema).append(rows)
    else:
        entry = iceberg_target.find(args.catalog, args.rest[0])
        tables.load(entry)
        tables.catalogs[entry.catalog].drop_table(args.rest[0])
    json.dump(answer, sys.stdout, indent=1, ensure_ascii=False)
    print()
    return 0


if __name__ == "__main__":
    sys.exit(main())

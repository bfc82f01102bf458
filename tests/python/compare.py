#!/usr/bin/env python3
"""Does an Iceberg table hold exactly the rows of its Hive source? Two verdicts that share no parser.

  source through pyarrow           against  target through DuckDB's iceberg_scan
  source through DuckDB's Parquet  against  target through pyiceberg's SqlCatalog

Each compares column names and types, the count, and the sum of row hashes over all columns, the
partition columns included. What a migration was told to change is said with --add, --distinct or,
for everything else, --sql over the view `source`.

  compare.py --warehouse DIR --catalog CATALOG.sqlite --table music.plays
  compare.py --warehouse DIR --catalog CATALOG.sqlite --all --add "description=''" --distinct

Prints one JSON document. Exit code: 0 all agree, 1 some differ, 2 could not compare.
"""

from __future__ import annotations

import argparse
import json
import sys
import traceback
from pathlib import Path

import hive_source
import iceberg_target
import rowhash
from hive_source import literal, quoted


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--warehouse", type=Path, required=True, help="folder that holds <database>.db folders")
    parser.add_argument("--description", type=Path, help="JSON: tables with columns, partition columns, location")
    parser.add_argument("--catalog", type=Path, required=True, help="SQLite file of the target's SQL catalog, or a JSON file of pyiceberg's properties")
    parser.add_argument("--catalog-name", help="name of the catalog inside the file (default: any)")
    parser.add_argument("--table", action="append", default=[], metavar="DB.TABLE[=NAMESPACE.TABLE]")
    parser.add_argument("--all", action="store_true", help="every table folder of the warehouse, same name in the target")
    parser.add_argument("--add", action="append", default=[], metavar="COLUMN=SQL", help="a column that the target has more")
    parser.add_argument("--distinct", action="store_true", help="exact duplicates are expected to be gone")
    parser.add_argument("--sql", help="the expected rows, as a query over the view `source`")
    parser.add_argument("--calendar", choices=["proleptic", "hybrid"], default="proleptic",
                        help="calendar of the source's writer for dates before 1582-10-15")
    parser.add_argument("--quiet", action="store_true", help="print only tables that differ, and the totals")
    return parser.parse_args()


def expected_sql(args: argparse.Namespace) -> str:
    """The rows that the target should hold, as a query over `source`."""
    if args.sql:
        return args.sql
    added = "".join(f", {sql} AS {quoted(name)}" for name, _, sql in (a.partition("=") for a in args.add))
    return f"SELECT *{added} FROM source"


class Comparison:
    """One table's source and target, openable again and again (a stream is read once)."""

    def __init__(self, args, connection, pyiceberg, source_name: str, target_name: str) -> None:
        self.args, self.connection, self.pyiceberg = args, connection, pyiceberg
        self.source = hive_source.open_table(args.warehouse, source_name, args.description)
        self.entry = iceberg_target.find(args.catalog, target_name, args.catalog_name)

    def bind_source(self, query: str) -> str:
        """Makes the view `source` from a query and gives the expected rows over it."""
        if self.args.calendar == "hybrid":
            rebased = []
            for name, (_, kind) in rowhash.described(self.connection, query).items():
                macro = {"DATE": "hybrid_date", "TIMESTAMP": "hybrid_timestamp"}.get(kind)
                if macro:
                    rebased.append(f"{macro}({quoted(name)}) AS {quoted(name)}")
            if rebased:
                query = f"SELECT * REPLACE ({', '.join(rebased)}) FROM ({query})"
        self.connection.execute(f"CREATE OR REPLACE TEMP VIEW source AS {query}")
        return expected_sql(self.args)

    def expected(self, reader: str) -> str:
        if reader == "pyarrow":
            self.connection.register("source_stream", hive_source.read_with_pyarrow(self.source))
            return self.bind_source("SELECT * FROM source_stream")
        return self.bind_source(hive_source.duckdb_source_sql(self.connection, self.source))

    def target(self, reader: str) -> str:
        if reader == "pyiceberg":
            self.connection.register("target_stream", self.pyiceberg.read(self.entry))
            return "SELECT * FROM target_stream"
        return iceberg_target.duckdb_target_sql(self.entry)

    def verdict(self, source_reader: str, target_reader: str) -> dict:
        """Compares the schemas and the sums as one pair of readers sees them."""
        expected = {n: t for n, (_, t) in rowhash.described(self.connection, self.expected(source_reader)).items()}
        found = {n: t for n, (_, t) in rowhash.described(self.connection, self.target(target_reader)).items()}
        out = {"source_reader": source_reader, "target_reader": target_reader}
        schema = [
            {"column": name, "expected": expected.get(name), "found": found.get(name)}
            for name in sorted({*expected, *found})
            if expected.get(name) != found.get(name)
        ]
        if schema:
            return {**out, "agree": False, "schema_differences": schema}
        want = rowhash.sums(self.connection, self.expected(source_reader), distinct=self.args.distinct)
        have = rowhash.sums(self.connection, self.target(target_reader))
        agree = (want.rows, want.hash_sum) == (have.rows, have.hash_sum)
        out |= {"agree": agree, "rows": {"expected": want.rows, "found": have.rows},
                "hash_sum": {"expected": str(want.hash_sum), "found": str(have.hash_sum)}}
        if not agree:
            # Only now is it worth another pass: which columns differ?
            want = rowhash.sums(self.connection, self.expected(source_reader), distinct=self.args.distinct, by_column=True)
            have = rowhash.sums(self.connection, self.target(target_reader), by_column=True)
            out["columns_that_differ"] = [c for c in want.columns if want.columns[c] != have.columns[c]]
        return out


def tables_of(args: argparse.Namespace) -> list[tuple[str, str]]:
    """(source, target) names to compare."""
    if args.all:
        folders = sorted(p for p in args.warehouse.glob("*.db/*") if p.is_dir() and not p.name.startswith(("_", ".")))
        args.table += [f"{p.parent.name.removesuffix('.db')}.{p.name}" for p in folders]
    return [(source, target or source) for source, _, target in (t.partition("=") for t in args.table)]


def main() -> int:
    args = arguments()
    connection = iceberg_target.connect(catalog=args.catalog)
    connection.execute(rowhash.HYBRID_CALENDAR)
    pyiceberg = iceberg_target.PyIcebergTables(args.catalog)
    results, failed = [], 0
    wanted = tables_of(args)
    if not wanted:
        print("compare.py: name a --table, or say --all", file=sys.stderr)
        return 2
    for source_name, target_name in wanted:
        result = {"source": source_name, "target": target_name}
        try:
            comparison = Comparison(args, connection, pyiceberg, source_name, target_name)
            verdicts = [comparison.verdict("pyarrow", "duckdb"), comparison.verdict("duckdb", "pyiceberg")]
            result |= {"agree": all(v["agree"] for v in verdicts), "verdicts": verdicts}
        except Exception as error:  # one table that cannot be read must not hide the others
            failed += 1
            result |= {"agree": False, "error": f"{type(error).__name__}: {error}",
                       "at": traceback.format_exc().splitlines()[-3:]}
        results.append(result)
    bad = [r for r in results if not r["agree"]]
    totals = {"tables": len(results), "agree": len(results) - len(bad), "differ": len(bad) - failed, "failed": failed}
    document = {"totals": totals, "tables": bad if args.quiet else results}
    json.dump(document, sys.stdout, indent=1, ensure_ascii=False)
    print()
    return 2 if failed else 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Simple facts about Iceberg tables, as an outsider counts them.

  read_table.py --catalog CATALOG.sqlite --table music.plays             facts as JSON
  read_table.py --catalog CATALOG.sqlite --table music.plays --reader pyiceberg
  read_table.py --catalog CATALOG.sqlite --table music.plays --against facts.json

Facts of a table: rows, distinct_rows, columns (Hive's names of the types), nulls, sums (of integers
and decimals, with four decimals), min, max, rows_by_partition. With --against both readers count,
and each fact of the file that has a counterpart must be equal; the table is looked up there by its
name without the namespace, or by the name after `=`. Differences of spelling that are none of the
data are let pass: a widened integer type, char and varchar as string, how a float is printed.
Exit code: 0 equal (or printed), 1 different, 2 could not read.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from pyiceberg.transforms import IdentityTransform

import iceberg_target
import rowhash
from hive_source import NULL_PARTITION, literal, quoted

HIVE_NAMES = {"long": "bigint", "timestamptz": "timestamp with time zone", "uuid": "string"}
# Iceberg has no smaller integers and no bounded strings.
WIDENED = {"tinyint": "int", "smallint": "int"}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--catalog", type=Path, required=True, help="SQLite file of the SQL catalog")
    parser.add_argument("--catalog-name", help="name of the catalog inside the file (default: any)")
    parser.add_argument("--table", action="append", default=[], required=True, metavar="NAMESPACE.TABLE[=FACTS_NAME]")
    parser.add_argument("--reader", choices=["duckdb", "pyiceberg"], default="duckdb")
    parser.add_argument("--against", type=Path, help="a facts file to compare with, by both readers")
    parser.add_argument("--char", action="append", default=[], metavar="COLUMN",
                        help="a char(n) column: the file's facts have it padded with spaces, the table has not")
    parser.add_argument("--ignore", action="append", default=[], metavar="COLUMN", help="a column left out of the comparison")
    return parser.parse_args()


def hive_name(kind) -> str:
    """Hive's name of an Iceberg type."""
    name = type(kind).__name__
    if name == "ListType":
        return f"array<{hive_name(kind.element_type)}>"
    if name == "MapType":
        return f"map<{hive_name(kind.key_type)},{hive_name(kind.value_type)}>"
    if name == "StructType":
        return f"struct<{','.join(f'{f.name}:{hive_name(f.field_type)}' for f in kind.fields)}>"
    if name == "DecimalType":
        return f"decimal({kind.precision},{kind.scale})"
    return HIVE_NAMES.get(str(kind), str(kind))


def partition_columns(table) -> list[str]:
    """The columns that the table is partitioned by as they are."""
    fields = [f for f in table.spec().fields if isinstance(f.transform, IdentityTransform)]
    return [table.schema().find_column_name(f.source_id) for f in fields]


def facts(connection, query: str, table) -> dict:
    """Counts one table; the query must be readable several times."""
    columns = rowhash.described(connection, query)
    kinds = {name: kind for name, (_, kind) in columns.items()}
    numbers = [n for n, k in kinds.items() if k in ("BIGINT", "HUGEINT") or k.startswith("DECIMAL")]
    flat = [n for n, k in kinds.items() if k not in ("BLOB", "BOOLEAN") and not k.endswith("]") and not k.startswith(("MAP", "STRUCT"))]
    wanted = ["count(*)"]
    wanted += [f"count(*) - count({quoted(n)})" for n in kinds]
    wanted += [f"CAST(sum(CAST({quoted(n)} AS DECIMAL(38,4))) AS VARCHAR)" for n in numbers]
    wanted += [f"CAST({which}({quoted(n)}) AS VARCHAR)" for which in ("min", "max") for n in flat]
    answer = list(connection.execute(f"SELECT {', '.join(wanted)} FROM ({query})").fetchone())
    take = lambda names: {n: answer.pop(0) for n in names}  # noqa: E731
    out: dict = {"rows": answer.pop(0)}
    values = ", ".join(next(iter(rowhash.parts(name, kind).values())) for name, kind in columns.values())
    out["distinct_rows"] = connection.execute(
        f"SELECT count(*) FROM (SELECT DISTINCT {values} FROM ({query}))").fetchone()[0]
    out["columns"] = {f.name.lower(): hive_name(f.field_type) for f in table.schema().fields}
    out["nulls"] = take(kinds)
    sums = take(numbers)
    if numbers:
        out["sums"] = {n: str(v) for n, v in sums.items()}
    low, high = take(flat), take(flat)
    if out["rows"]:
        out |= {"min": low, "max": high}
    if keys := partition_columns(table):
        each = ", ".join(f"coalesce(CAST({quoted(k)} AS VARCHAR), {literal(NULL_PARTITION)})" for k in keys)
        rows = connection.execute(f"SELECT {each}, count(*) FROM ({query}) GROUP BY ALL ORDER BY ALL").fetchall()
        out["rows_by_partition"] = {"/".join(f"{k}={v}" for k, v in zip(keys, row)): row[-1] for row in rows}
    return out


class Reader:
    """Counts tables through one of the two readers."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.connection = iceberg_target.connect(catalog=args.catalog)
        self.pyiceberg = iceberg_target.PyIcebergTables(args.catalog)

    def facts(self, name: str, reader: str) -> dict:
        entry = iceberg_target.find(self.args.catalog, name, self.args.catalog_name)
        table = self.pyiceberg.load(entry)
        if reader == "duckdb":
            return facts(self.connection, iceberg_target.duckdb_target_sql(entry), table)
        self.connection.register("rows_read", self.pyiceberg.read(entry).read_all())
        return facts(self.connection, "SELECT * FROM rows_read", table)


def same(key: str, kind: str, expected, found) -> bool:
    """Whether two facts about one column say the same."""
    if expected == found:
        return True
    if key == "columns" and expected is not None:
        if expected.startswith(("char(", "varchar(")):
            return found == "string"
        return WIDENED.get(expected) == found
    if key in ("min", "max") and kind in ("float", "double") and None not in (expected, found):
        one, other = float(expected), float(found)
        return one == other or (one != one and other != other)
    return False


def differences(expected: dict, found: dict, ignored: list[str], padded: list[str]) -> list[dict]:
    """Every fact of the file that the table does not bear out."""
    out = []
    for bound in (expected.get("min", {}), expected.get("max", {})):
        bound.update({n: bound[n].rstrip(" ") for n in padded if bound.get(n) is not None})
    kinds = expected.get("columns", {})
    for key, want in expected.items():
        have = found.get(key)
        if not isinstance(want, dict):
            if want != have:
                out.append({"fact": key, "expected": want, "found": have})
            continue
        have = have or {}
        names = {*want, *(have if key in ("columns", "rows_by_partition") else ())}
        for name in sorted(names - set(ignored)):
            if not same(key, kinds.get(name, ""), want.get(name), have.get(name)):
                out.append({"fact": key, "of": name, "expected": want.get(name), "found": have.get(name)})
    return out


def main() -> int:
    args = arguments()
    reader = Reader(args)
    document, different = {}, False
    for name, _, facts_name in (t.partition("=") for t in args.table):
        if args.against is None:
            document[name] = reader.facts(name, args.reader)
            continue
        expected = json.loads(args.against.read_text())[facts_name or name.rsplit(".", 1)[-1]]
        readers = ("duckdb", "pyiceberg")
        found = {r: differences(expected, reader.facts(name, r), args.ignore, args.char) for r in readers}
        different |= any(found.values())
        document[name] = {"equal": not any(found.values()), "differences": found}
    json.dump(document, sys.stdout, indent=1, ensure_ascii=False, sort_keys=True)
    print()
    return 1 if different else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (LookupError, OSError, ValueError) as error:
        print(f"read_table.py: {type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(2)

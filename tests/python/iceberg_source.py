#!/usr/bin/env python3
"""An Iceberg catalog as the source: tables that pyiceberg writes, and both sides compared.

  iceberg_source.py --catalog CATALOG make DIR             writes the tables of namespace `music`, under DIR
  iceberg_source.py --catalog CATALOG append NAME.TABLE    appends the table's rows once more
  iceberg_source.py --catalog CATALOG compare TARGET TABLE=TARGET_TABLE…
                                                           rows of each pair, by pyiceberg and by DuckDB

In:    a catalog, as SQLite file or as JSON file with pyiceberg's properties.
Out:   JSON. `compare` ends with 1 if a pair differs.
Not here: what a migration does with the tables.
"""

from __future__ import annotations

import argparse
import datetime
import decimal
import json
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.catalog import Catalog
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.manifest import (
    DataFile, DataFileContent, FileFormat, ManifestContent, ManifestEntry, ManifestEntryStatus, ManifestFile,
    ManifestWriterV2, write_manifest_list,
)
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table.snapshots import Operation, Snapshot, Summary
from pyiceberg.table.update import AddSnapshotUpdate, SetSnapshotRefUpdate
from pyiceberg.transforms import BucketTransform, DayTransform, IdentityTransform
from pyiceberg.typedef import Record
from pyiceberg.types import (
    BinaryType, BooleanType, DateType, DecimalType, DoubleType, FixedType, FloatType, IntegerType, ListType, LongType,
    MapType, NestedField, StringType, StructType, TimestampType, TimestamptzType, UUIDType,
)

import iceberg_target
from hive_source import literal

UTC = datetime.timezone.utc
NAMESPACE = "music"


def transformed(self, source):
    """Partition values by pyiceberg's own functions over single values: over arrays it wants another package."""
    each = self.transform(source)

    def apply(array: pa.Array) -> pa.Array:
        plain = array.cast(pa.int64()) if pa.types.is_timestamp(array.type) else array
        return pa.array([each(value) for value in plain.to_pylist()], pa.int32())

    return apply


BucketTransform.pyarrow_transform = transformed
DayTransform.pyarrow_transform = transformed


def opened(catalog: Path, warehouse: str | None = None) -> Catalog:
    if catalog.suffix == ".json":
        return iceberg_target.opened(catalog)
    where = {"warehouse": warehouse} if warehouse else {}
    return SqlCatalog("skein", uri=f"sqlite:///{catalog}", **where)


def field(number: int, name: str, kind, required: bool = False, doc: str | None = None) -> NestedField:
    return NestedField(number, name, kind, required=required, doc=doc)


def rows_of(table, rows: list[dict]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=table.schema().as_arrow())


def songs(catalog: Catalog, countries: list[str | None]) -> None:
    """Identity and bucket partitions; columns are renamed, added, dropped, promoted and moved between two appends."""
    schema = Schema(
        field(1, "id", IntegerType(), required=True, doc="the song's number"),
        field(2, "title", StringType(), doc="as printed"),
        field(3, "country", StringType()),
        field(4, "price", DecimalType(9, 2)),
        field(5, "stars", FloatType()),
        field(6, "gone", StringType()),
        field(7, "about", StructType(field(8, "year", IntegerType()), field(9, "label", StringType()),
                                     field(15, "lost", LongType()))),
        field(10, "tags", ListType(11, StructType(field(12, "tag", StringType())), element_required=False)),
        field(13, "counts", MapType(16, StringType(), 17, IntegerType(), value_required=False)),
        field(14, "hash", FixedType(4)),
    )
    spec = PartitionSpec(PartitionField(3, 1000, IdentityTransform(), "country"),
                         PartitionField(1, 1001, BucketTransform(4), "id_bucket"))
    properties = {"comment": "songs of all countries", "owner": "ada"}
    table = catalog.create_table(f"{NAMESPACE}.songs", schema, partition_spec=spec, properties=properties)

    def one(n: int, **names) -> dict:
        null = n % 7 == 3
        return {
            "id": n, "country": countries[n % len(countries)],
            "price": None if null else decimal.Decimal(n * 101 - 5000) / 100,
            "stars": None if null else n / 3, "counts": [(f"k{k}", n * k) for k in range(n % 3)],
            "hash": None if null else n.to_bytes(4, "big"), **names,
        }

    table.append(rows_of(table, [
        one(n, title=f"song {n}", gone="nobody sees this",
            about=None if n % 5 == 1 else {"year": 1960 + n, "label": f"label {n % 6}", "lost": n},
            tags=[{"tag": f"t{t}"} for t in range(n % 4)])
        for n in range(300)]))
    with table.update_schema(allow_incompatible_changes=True) as update:
        update.rename_column("title", "name")
        update.add_column("note", StringType(), doc="since the second year")
        update.delete_column("gone")
        update.update_column("id", field_type=LongType())
        update.update_column("price", field_type=DecimalType(14, 2))
        update.update_column("stars", field_type=DoubleType())
        update.rename_column("about.label", "publisher")
        update.delete_column("about.lost")
        update.add_column(("about", "rating"), DoubleType())
        update.add_column(("tags", "weight"), IntegerType())
        update.rename_column("tags.element.tag", "word")
        update.move_first("country")
    # A column that has another's old name is not that column.
    with table.update_schema(allow_incompatible_changes=True) as update:
        update.add_column("title", IntegerType())
    table.append(rows_of(table, [
        one(n, name=f"song {n}", note=None if n % 2 else f"note {n}", title=n * 2,
            about={"year": 1900, "publisher": "late", "rating": n / 7},
            tags=[{"word": "late", "weight": n}])
        | {"id": n + 5_000_000_000} for n in range(300, 450)]))


def plays(catalog: Catalog) -> None:
    """Days of instants; the spec changes between two appends, and rows are deleted by rewriting."""
    schema = Schema(
        field(1, "id", LongType()), field(2, "at", TimestamptzType()), field(3, "local", TimestampType()),
        field(4, "day", DateType()), field(5, "whole", BooleanType()), field(6, "raw", BinaryType()),
        field(7, "log", ListType(8, TimestamptzType(), element_required=False)), field(9, "kind", StringType()),
    )
    spec = PartitionSpec(PartitionField(2, 1000, DayTransform(), "at_day"))
    table = catalog.create_table(f"{NAMESPACE}.plays", schema, partition_spec=spec)

    def one(n: int) -> dict:
        at = datetime.datetime(1969, 12, 30, 22, 0, tzinfo=UTC) + datetime.timedelta(hours=n, microseconds=n)
        return {"id": n, "at": None if n % 11 == 5 else at, "local": at.replace(tzinfo=None), "day": at.date(),
                "whole": n % 3 == 0, "raw": bytes([n % 256, 0xFF, 0]), "log": [at, None], "kind": f"k{n % 3}"}

    table.append(rows_of(table, [one(n) for n in range(100)]))
    with table.update_spec() as update:
        update.add_field("kind", IdentityTransform(), "kind")
    table.append(rows_of(table, [one(n) for n in range(100, 200)]))
    table.delete("id == 7 or id == 150")


def elder(catalog: Catalog) -> None:
    """Format version 1; a partition field is taken out of its spec, and leaves a void one."""
    schema = Schema(field(1, "id", LongType()), field(2, "kind", StringType()), field(3, "day", DateType()))
    spec = PartitionSpec(PartitionField(2, 1000, IdentityTransform(), "kind"),
                         PartitionField(3, 1001, IdentityTransform(), "on_day"))
    table = catalog.create_table(f"{NAMESPACE}.elder", schema, partition_spec=spec,
                                 properties={"format-version": "1"})
    assert table.format_version == 1
    day = datetime.date(1999, 12, 31)
    table.append(rows_of(table, [{"id": n, "kind": f"k{n % 2}", "day": day} for n in range(40)]))
    with table.update_spec() as update:
        update.remove_field("on_day")
    table.append(rows_of(table, [{"id": n, "kind": f"k{n % 2}", "day": None} for n in range(40, 60)]))


def imported(catalog: Catalog, folder: Path) -> None:
    """Files of somebody else, without ids: found by the name mapping."""
    rows = pa.table({"id": pa.array(range(50), pa.int64()), "name": [f"row {n}" for n in range(50)]})
    file = folder / "imported" / "part-0.parquet"
    file.parent.mkdir(parents=True)
    pq.write_table(rows, file)
    table = catalog.create_table(f"{NAMESPACE}.imported", rows.schema)
    table.add_files([str(file)])
    with table.update_schema() as update:
        update.rename_column("name", "title")


class DeleteWriter(ManifestWriterV2):
    """A manifest of delete files, which pyiceberg reads but has no writer for."""

    def content(self) -> ManifestContent:
        return ManifestContent.DELETES

    @property
    def _meta(self) -> dict[str, str]:
        return {**super()._meta, "content": "deletes"}


def deleted(catalog: Catalog) -> None:
    """A row of it is deleted by a position delete file."""
    schema = Schema(field(1, "id", LongType()))
    table = catalog.create_table(f"{NAMESPACE}.deleted", schema)
    table.append(rows_of(table, [{"id": n} for n in range(10)]))
    before = table.current_snapshot()
    (task,) = table.scan().plan_files()
    location = table.location()
    path = f"{location}/data/deletes.parquet"
    meta = [{b"PARQUET:field_id": b"2147483546"}, {b"PARQUET:field_id": b"2147483545"}]
    rows = pa.table({"file_path": [task.file.file_path], "pos": pa.array([3], pa.int64())}, schema=pa.schema([
        pa.field("file_path", pa.string(), nullable=False, metadata=meta[0]),
        pa.field("pos", pa.int64(), nullable=False, metadata=meta[1])]))
    with table.io.new_output(path).create() as output:
        pq.write_table(rows, output)
    size = len(table.io.new_input(path))
    snapshot_id, sequence = before.snapshot_id + 1, before.sequence_number + 1
    file = DataFile.from_args(
        content=DataFileContent.POSITION_DELETES, file_path=path, file_format=FileFormat.PARQUET, partition=Record(),
        record_count=1, file_size_in_bytes=size)
    manifest = f"{location}/metadata/deletes-m0.avro"
    with DeleteWriter(table.spec(), table.schema(), table.io.new_output(manifest), snapshot_id, "null") as writer:
        writer.add_entry(ManifestEntry.from_args(
            status=ManifestEntryStatus.ADDED, snapshot_id=snapshot_id, sequence_number=None,
            file_sequence_number=None, data_file=file))
    added: ManifestFile = writer.to_manifest_file()
    listed = f"{location}/metadata/snap-{snapshot_id}.avro"
    with write_manifest_list(2, table.io.new_output(listed), snapshot_id, before.snapshot_id, sequence, "null") as out:
        out.add_manifests([*before.manifests(table.io), added])
    snapshot = Snapshot(
        snapshot_id=snapshot_id, parent_snapshot_id=before.snapshot_id, sequence_number=sequence,
        timestamp_ms=before.timestamp_ms + 1, manifest_list=listed, summary=Summary(Operation.DELETE),
        schema_id=table.schema().schema_id)
    with table.transaction() as transaction:
        transaction._apply((
            AddSnapshotUpdate(snapshot=snapshot),
            SetSnapshotRefUpdate(ref_name="main", type="branch", snapshot_id=snapshot_id),
        ))
    assert catalog.load_table(f"{NAMESPACE}.deleted").scan().to_arrow().num_rows == 9


def make(catalog: Catalog, folder: Path) -> None:
    stored = str(folder).startswith("s3:")
    catalog.create_namespace_if_not_exists(NAMESPACE)
    # SeaweedFS refuses objects in folders of its table buckets that are called otherwise than it expects.
    odd = [] if stored else ["São/1 %", ""]
    songs(catalog, [None, "SE", *odd])
    plays(catalog)
    catalog.create_table(f"{NAMESPACE}.silence", Schema(field(1, "id", LongType()), field(2, "word", StringType())))
    if not stored:
        elder(catalog)
        imported(catalog, folder)
    deleted(catalog)
    catalog.create_table(f"{NAMESPACE}.keys", Schema(field(1, "id", LongType()), field(2, "key", UUIDType())))


def ordered(table: pa.Table) -> list[dict]:
    rows = table.to_pylist()
    return sorted(rows, key=lambda row: json.dumps(row, default=str, sort_keys=True))


def by_duckdb(connection, table, columns: list[str]) -> list:
    """Rows and sums over everything that has a text, by DuckDB's own reader."""
    if table.current_snapshot() is None:
        return [0] * (1 + len(columns))
    location = iceberg_target.local_path(table.metadata_location)
    texts = [f"sum(hash(coalesce({literal_name(name)}::VARCHAR, 'null')) % 1000003)" for name in columns]
    query = f"SELECT count(*), {', '.join(texts)} FROM iceberg_scan({literal(location)})"
    return [int(value or 0) for value in connection.execute(query).fetchone()]


def literal_name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def compare(source: Path, target: Path, pairs: list[str]) -> dict:
    catalogs = opened(source), opened(target)
    report = {}
    for pair in pairs:
        names = pair.split("=")
        tables = [catalog.load_table(name) for catalog, name in zip(catalogs, names, strict=True)]
        rows = [ordered(table.scan().to_arrow()) for table in tables]
        columns = [name.name for name in tables[0].schema().fields]
        sums = [by_duckdb(iceberg_target.connect(catalog=path), table, columns)
                for path, table in zip((source, target), tables, strict=True)]
        first = next((pair for pair in zip(*rows) if pair[0] != pair[1]), None)
        report[names[0]] = {
            "rows": [len(side) for side in rows], "equal": rows[0] == rows[1], "duckdb": sums,
            "agree": rows[0] == rows[1] and sums[0] == sums[1], "first": repr(first),
            "columns": {field.name: str(field.field_type) for field in tables[1].schema().fields},
            "docs": {field.name: field.doc for field in tables[1].schema().fields if field.doc},
            "partitioning": {field.name: str(field.transform) for field in tables[1].spec().fields},
            "properties": dict(tables[1].properties),
        }
    return report


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--catalog", type=Path, required=True)
    parser.add_argument("verb", choices=["make", "append", "compare"])
    parser.add_argument("rest", nargs="*")
    args = parser.parse_args()
    if args.verb == "make":
        where = args.rest[0]
        make(opened(args.catalog, f"file://{where}"), Path(where))
        print(json.dumps("made"))
    elif args.verb == "append":
        table = opened(args.catalog).load_table(args.rest[0])
        table.append(table.scan().to_arrow())
        print(json.dumps(table.current_snapshot().snapshot_id))
    else:
        report = compare(args.catalog, Path(args.rest[0]), args.rest[1:])
        json.dump(report, sys.stdout, indent=1)
        return 0 if all(table["agree"] for table in report.values()) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

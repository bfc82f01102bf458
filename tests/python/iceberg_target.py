"""The modern side: an Iceberg table behind a SQLite catalog, opened by two independent readers.

In:    the catalog's SQLite file, the name of a table.
Out:   the table as a DuckDB query (DuckDB's own Iceberg reader) or as an Arrow stream (pyiceberg).
Holds: DuckDB is given the metadata file that the catalog's row names, found with plain SQL.
Not here: what the rows should be.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path

import duckdb
import duckdb_extension_avro
import duckdb_extension_iceberg
from pyiceberg.catalog.sql import SqlCatalog

from hive_source import literal


def connect(threads: int | None = None) -> duckdb.DuckDBPyConnection:
    """A DuckDB that can read Iceberg, from the extensions that were installed as wheels."""
    connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
    for package, extension in ((duckdb_extension_avro, "avro"), (duckdb_extension_iceberg, "iceberg")):
        folder = Path(package.__file__).parent / "extensions"
        (found,) = folder.rglob(f"{extension}.duckdb_extension")
        connection.load_extension(str(found))
    connection.execute("SET autoinstall_known_extensions = false")
    if threads is not None:
        connection.execute(f"SET threads = {threads}")
    return connection


@dataclass(frozen=True)
class Entry:
    """One row of the catalog: where a table's current metadata lies."""

    catalog: str
    namespace: str
    table: str
    metadata_location: str


def entries(catalog_file: Path, catalog_name: str | None = None) -> list[Entry]:
    """Every table of the catalog file, read with plain SQL."""
    if not catalog_file.is_file():
        raise FileNotFoundError(f"no catalog at {catalog_file}")
    with sqlite3.connect(f"file:{catalog_file}?mode=ro", uri=True) as connection:
        rows = connection.execute(
            "SELECT catalog_name, table_namespace, table_name, metadata_location FROM iceberg_tables "
            "WHERE iceberg_type IS NULL OR iceberg_type = 'TABLE' ORDER BY 1, 2, 3"
        ).fetchall()
    return [Entry(*row) for row in rows if catalog_name in (None, row[0])]


def find(catalog_file: Path, name: str, catalog_name: str | None = None) -> Entry:
    """The one entry called `namespace.table`."""
    found = [e for e in entries(catalog_file, catalog_name) if f"{e.namespace}.{e.table}" == name]
    if len(found) != 1:
        raise LookupError(f"{name}: {len(found)} entries in {catalog_file}")
    return found[0]


def local_path(location: str) -> str:
    """A local path, however the catalog spells it."""
    return location.removeprefix("file://") if location.startswith("file://") else location.removeprefix("file:")


def duckdb_target_sql(entry: Entry) -> str:
    """A query over the table through DuckDB's Iceberg reader."""
    return f"SELECT * FROM iceberg_scan({literal(local_path(entry.metadata_location))})"


class PyIcebergTables:
    """Tables of one catalog file, opened by pyiceberg."""

    def __init__(self, catalog_file: Path) -> None:
        self.uri = f"sqlite:///{catalog_file}"
        self.catalogs: dict[str, SqlCatalog] = {}

    def load(self, entry: Entry):
        """The pyiceberg table of an entry."""
        if entry.catalog not in self.catalogs:
            options = {"uri": self.uri, "init_catalog_tables": "false"}
            self.catalogs[entry.catalog] = SqlCatalog(entry.catalog, **options)
        return self.catalogs[entry.catalog].load_table((*entry.namespace.split("."), entry.table))

    def read(self, entry: Entry):
        """The table's rows as an Arrow stream."""
        return self.load(entry).scan().to_arrow_batch_reader()

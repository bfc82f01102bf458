"""The modern side: an Iceberg table behind a catalog, opened by two independent readers.

In:    the catalog's SQLite file, or a JSON file with the properties that pyiceberg opens another catalog with; the
       name of a table.
Out:   the table as a DuckDB query (DuckDB's own Iceberg reader) or as an Arrow stream (pyiceberg).
Holds: DuckDB is given the metadata file that the catalog's row names, found with plain SQL where the catalog is SQLite.
Not here: what the rows should be.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from pathlib import Path

import duckdb
import duckdb_extension_avro
import duckdb_extension_httpfs
import duckdb_extension_iceberg
from pyiceberg.catalog import Catalog, load_catalog
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.table import StaticTable

from hive_source import literal


def properties(catalog: Path) -> dict[str, str] | None:
    """The properties in a catalog's JSON file; none for an SQLite file."""
    return json.loads(catalog.read_text()) if catalog.suffix == ".json" else None


def connect(threads: int | None = None, catalog: Path | None = None) -> duckdb.DuckDBPyConnection:
    """A DuckDB that can read Iceberg, from the extensions that were installed as wheels, in the store that the
    catalog's properties name."""
    connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
    stored = (properties(catalog) if catalog else None) or {}
    remote = [(duckdb_extension_httpfs, "httpfs")] if "s3.endpoint" in stored else []
    for package, extension in [*remote, (duckdb_extension_avro, "avro"), (duckdb_extension_iceberg, "iceberg")]:
        folder = Path(package.__file__).parent / "extensions"
        (found,) = folder.rglob(f"{extension}.duckdb_extension")
        connection.load_extension(str(found))
    connection.execute("SET autoinstall_known_extensions = false")
    if remote:
        endpoint = stored["s3.endpoint"].removeprefix("http://")
        key, secret = literal(stored["s3.access-key-id"]), literal(stored["s3.secret-access-key"])
        connection.execute(f"CREATE SECRET (TYPE s3, KEY_ID {key}, SECRET {secret}, ENDPOINT {literal(endpoint)}, "
                           f"REGION {literal(stored['s3.region'])}, URL_STYLE 'path', USE_SSL false)")
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


def opened(catalog: Path) -> Catalog:
    """The catalog that a JSON file's properties open."""
    stored = properties(catalog)
    return load_catalog(stored.pop("name", "skein"), **stored)


def entries(catalog_file: Path, catalog_name: str | None = None) -> list[Entry]:
    """Every table of the catalog, read with plain SQL where it is a file."""
    if properties(catalog_file) is not None:
        catalog = opened(catalog_file)
        names = [name for namespace in catalog.list_namespaces() for name in catalog.list_tables(namespace)]
        return [Entry("skein", ".".join(name[:-1]), name[-1], catalog.load_table(name).metadata_location)
                for name in sorted(names)]
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
    if properties(catalog_file) is not None:
        # Others may have tables there that come and go meanwhile.
        namespace, _, table = name.rpartition(".")
        return Entry("skein", namespace, table, opened(catalog_file).load_table(name).metadata_location)
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
    """Tables of one catalog, opened by pyiceberg."""

    def __init__(self, catalog_file: Path) -> None:
        self.file = catalog_file
        self.catalogs: dict[str, Catalog] = {}

    def load(self, entry: Entry):
        """The pyiceberg table of an entry."""
        stored = properties(self.file)
        if stored is not None and stored["type"] == "rest":
            # Through the file that the catalog names: SeaweedFS gives an account of its own of a registered table.
            return StaticTable.from_metadata(entry.metadata_location, stored)
        if entry.catalog not in self.catalogs:
            options = {"uri": f"sqlite:///{self.file}", "init_catalog_tables": "false"}
            remote = properties(self.file) is not None
            self.catalogs[entry.catalog] = opened(self.file) if remote else SqlCatalog(entry.catalog, **options)
        return self.catalogs[entry.catalog].load_table((*entry.namespace.split("."), entry.table))

    def read(self, entry: Entry):
        """The table's rows as an Arrow stream."""
        return self.load(entry).scan().to_arrow_batch_reader()

"""What every peer is given, and what it has to say.

In:    the command line: which work, where the source lies, where the tables go.
Out:   on stdout one line of JSON: CPU and wall seconds after writing, and after validating.
Holds: the same target for everyone: Iceberg v2 in an SQLite catalog with a local warehouse,
       partitioned by `dt` as it is, Parquet with zstd level 3.
Not here: how a peer reads, changes and writes (one file each).
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table import CreateTableTransaction, Table
from pyiceberg.transforms import IdentityTransform
from pyiceberg.types import DoubleType, IntegerType, LongType, NestedField, StringType, TimestampType

ZSTD_LEVEL = 3
PARTITION_COLUMN = "dt"
COLUMNS = [
    ("playlist_id", LongType()), ("owner_id", LongType()), ("title", StringType()), ("genre", StringType()),
    ("track_count", IntegerType()), ("duration_seconds", DoubleType()), ("created_at", TimestampType()),
    (PARTITION_COLUMN, StringType()),
]
ADDED_COLUMN = ("description", StringType())
PROPERTIES = {
    "format-version": "2",
    "write.parquet.compression-codec": "zstd",
    "write.parquet.compression-level": str(ZSTD_LEVEL),
}


@dataclass(frozen=True)
class Work:
    """One run of one peer."""

    clean: bool
    source: Path
    out: Path

    def tables(self) -> list[tuple[str, Path]]:
        """Every `database.table` of the source and its folder."""
        folders = sorted(p for p in self.source.glob("*.db/*") if p.is_dir())
        return [(f"{p.parent.name.removesuffix('.db')}.{p.name}", p) for p in folders]

    def partitions(self, folder: Path) -> list[tuple[str, list[str]]]:
        """The partition values of a table and the files of each."""
        found = sorted(folder.glob(f"{PARTITION_COLUMN}=*"))
        return [(p.name.partition("=")[2], sorted(str(f) for f in p.iterdir())) for p in found]

    def columns(self) -> list[tuple]:
        """The target's columns."""
        return COLUMNS + [ADDED_COLUMN] if self.clean else COLUMNS

    def schema(self) -> Schema:
        """The target's Iceberg schema."""
        return Schema(*(NestedField(i, name, kind, required=False) for i, (name, kind) in enumerate(self.columns(), 1)))

    def spec(self) -> PartitionSpec:
        """Partitioned as the source is."""
        at = [name for name, _ in COLUMNS].index(PARTITION_COLUMN) + 1
        return PartitionSpec(PartitionField(at, 1000, IdentityTransform(), PARTITION_COLUMN))

    def catalog(self) -> SqlCatalog:
        """A new catalog for the tables."""
        self.out.mkdir(parents=True)
        made = SqlCatalog("lake", uri=f"sqlite:///{self.out}/catalog.sqlite", warehouse=f"file://{self.out}/warehouse")
        for namespace in {name.partition(".")[0] for name, _ in self.tables()}:
            made.create_namespace(namespace)
        return made

    def create(self, catalog: SqlCatalog, name: str) -> Table:
        """An empty target table, committed."""
        return catalog.create_table(name, self.schema(), partition_spec=self.spec(), properties=PROPERTIES)

    def begin(self, catalog: SqlCatalog, name: str) -> CreateTableTransaction:
        """A target table whose creation and content are one commit."""
        return catalog.create_table_transaction(name, self.schema(), partition_spec=self.spec(), properties=PROPERTIES)


def spent() -> dict:
    """CPU seconds of this process so far, and the clock."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return {"cpu": usage.ru_utime + usage.ru_stime, "clock": time.monotonic()}


def run(write: Callable[[Work], object], validate: Callable[[Work, object], None]) -> None:
    """Runs a peer's two steps. A copy is only written; cleaned tables are validated too."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--clean", action="store_true", help="add a column, drop exact duplicates, validate")
    parser.add_argument("--source", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    work = Work(args.clean, args.source, args.out)
    started = time.monotonic()
    expected = write(work)
    written = spent()
    if work.clean:
        validate(work, expected)
    ended = spent()
    print(json.dumps({
        "written": {"cpu_seconds": written["cpu"], "wall_seconds": written["clock"] - started},
        "validated": {"cpu_seconds": ended["cpu"], "wall_seconds": ended["clock"] - started},
    }))

"""DuckDB: SQL reads and changes a partition, COPY writes Parquet, pyiceberg registers the files.

DuckDB 1.5 writes Iceberg tables only through a REST catalog, so the files are added to the table with
pyiceberg, which needs the partition column inside them. Duplicates share a partition, and removing
them partition by partition costs far less memory than one DISTINCT over everything.
"""

from __future__ import annotations

import sys
from pathlib import Path

from work import ADDED_COLUMN, PARTITION_COLUMN, ZSTD_LEVEL, Work, run

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "python"))
import iceberg_target  # noqa: E402  (loads DuckDB's Iceberg extension from its wheel)

# A table of up to so many files is written in one piece.
FEW_FILES = 10
WRITE = f"FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL {ZSTD_LEVEL}"


def source(files: list[str]) -> str:
    """A query over files of one table, with the partition column as the string that it is."""
    paths = ", ".join(f"'{f}'" for f in files)
    return (f"SELECT * FROM read_parquet([{paths}], hive_partitioning = true, "
            f"hive_types = {{'{PARTITION_COLUMN}': VARCHAR}})")


def row_hash(columns: list[str]) -> str:
    """Count and sum of row hashes."""
    return f"count(*), sum(hash({', '.join(columns)}))"


def write(work: Work) -> dict:
    catalog = work.catalog()
    connection = iceberg_target.connect()
    connection.execute("SET preserve_insertion_order = false")
    expected: dict[str, list[int]] = {}
    names = [name for name, _ in work.columns()]
    for name, folder in work.tables():
        transaction = work.begin(catalog, name)
        data = Path(transaction.table_metadata.location.removeprefix("file://")) / "data"
        data.mkdir(parents=True)
        partitions = work.partitions(folder)
        every = [f for _, files in partitions for f in files]
        if not work.clean or len(every) <= FEW_FILES:
            query = source(every)
            if work.clean:
                query = clean(connection, query, names, expected.setdefault(name, [0, 0]))
            connection.execute(f"COPY ({query}) TO '{data}' ({WRITE}, PARTITION_BY ({PARTITION_COLUMN}), "
                               "WRITE_PARTITION_COLUMNS true)")
        else:
            for value, files in partitions:
                query = clean(connection, source(files), names, expected.setdefault(name, [0, 0]))
                path = data / f"{PARTITION_COLUMN}={value}"
                path.mkdir()
                connection.execute(f"COPY ({query}) TO '{path}/data.parquet' ({WRITE})")
        files = sorted(f"file://{path}" for path in data.rglob("*.parquet"))
        transaction.add_files(files, check_duplicate_files=False)
        transaction.commit_transaction()
    return {"connection": connection, "expected": expected, "catalog": catalog}


def clean(connection, query: str, names: list[str], total: list[int]) -> str:
    """Keeps the cleaned rows for a moment, and adds up what should be found later."""
    connection.execute(f"CREATE OR REPLACE TEMP TABLE kept AS SELECT DISTINCT *, '' AS {ADDED_COLUMN[0]} FROM ({query})")
    count, sum_of_hashes = connection.execute(f"SELECT {row_hash(names)} FROM kept").fetchone()
    total[0] += count
    total[1] += sum_of_hashes
    return "SELECT * FROM kept"


def validate(work: Work, written: dict) -> None:
    names = [name for name, _ in work.columns()]
    for name, expected in written["expected"].items():
        location = written["catalog"].load_table(name).metadata_location.removeprefix("file://")
        query = f"SELECT {row_hash(names)} FROM iceberg_scan('{location}')"
        found = list(written["connection"].execute(query).fetchone())
        if found != expected:
            raise SystemExit(f"{name}: {found} is not {expected}")


if __name__ == "__main__":
    run(write, validate)

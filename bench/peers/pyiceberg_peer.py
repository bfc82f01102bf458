"""pyiceberg: pyarrow reads a partition, pyiceberg appends it.

Streams cannot be appended to partitioned tables, so a large table goes partition by partition in one
transaction, which keeps memory low; a small one goes in one piece. pyarrow has no row hash, so
validation compares counts, null counts, sums and bounds of each column with what was meant to be written.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from work import ADDED_COLUMN, PARTITION_COLUMN, Work, run

# A table of up to so many files is appended in one piece.
FEW_FILES = 10


def read(work: Work, partitions) -> pa.Table:
    """Some partitions as one Arrow table, cleaned if that is the work."""
    tables = []
    for value, files in partitions:
        table = pa.concat_tables([pq.ParquetFile(f).read() for f in files])
        table = table.append_column(PARTITION_COLUMN, pa.repeat(pa.scalar(value), len(table)))
        if work.clean:
            # Duplicates share a partition.
            table = table.group_by(table.schema.names).aggregate([])
            table = table.append_column(ADDED_COLUMN[0], pa.repeat(pa.scalar(""), len(table)))
        tables.append(table)
    return pa.concat_tables(tables)


def profile(batches) -> dict:
    """Counts, nulls, sums and bounds of each column, added up over batches."""
    seen: dict = {"rows": 0}
    for batch in batches:
        seen["rows"] += len(batch)
        for name in batch.schema.names:
            column = batch.column(name)
            bounds = pc.min_max(column).as_py()
            now = seen.setdefault(name, {"nulls": 0, "sum": 0, "min": None, "max": None})
            now["nulls"] += column.null_count
            if pa.types.is_integer(column.type):
                now["sum"] += pc.sum(column).as_py() or 0
            elif pa.types.is_floating(column.type):
                # The data's fractions are halves: their sum is exact in any order.
                now["sum"] += pc.sum(column).as_py() or 0.0
            elif pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
                now["sum"] += pc.sum(pc.binary_length(column)).as_py() or 0
            now["min"] = min((v for v in (now["min"], bounds["min"]) if v is not None), default=None)
            now["max"] = max((v for v in (now["max"], bounds["max"]) if v is not None), default=None)
    return seen


def write(work: Work) -> dict:
    catalog = work.catalog()
    expected = {}
    for name, folder in work.tables():
        partitions = work.partitions(folder)
        small = sum(len(files) for _, files in partitions) <= FEW_FILES
        with work.begin(catalog, name) as transaction:
            for chosen in [partitions] if small else [[p] for p in partitions]:
                table = read(work, chosen)
                transaction.append(table)
                if work.clean:
                    expected[name] = merge(expected.get(name), profile([table]))
    return {"catalog": catalog, "expected": expected}


def merge(one: dict | None, other: dict) -> dict:
    """Two profiles as one."""
    if one is None:
        return other
    both: dict = {"rows": one["rows"] + other["rows"]}
    for name, now in other.items():
        if name == "rows":
            continue
        before = one[name]
        both[name] = {
            "nulls": before["nulls"] + now["nulls"], "sum": before["sum"] + now["sum"],
            "min": min((v for v in (before["min"], now["min"]) if v is not None), default=None),
            "max": max((v for v in (before["max"], now["max"]) if v is not None), default=None),
        }
    return both


def validate(work: Work, written: dict) -> None:
    for name, expected in written["expected"].items():
        found = profile(written["catalog"].load_table(name).scan().to_arrow_batch_reader())
        if found != expected:
            raise SystemExit(f"{name}: {found} is not {expected}")


if __name__ == "__main__":
    run(write, validate)

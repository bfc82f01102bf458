"""polars: a lazy scan of the Hive folders, streamed into an Iceberg table by `sink_iceberg`.

Duplicates share a partition, so a large table is cleaned partition by partition, which costs less
memory than one `unique` over everything; a small one goes in one piece.
"""

from __future__ import annotations

import polars as pl

from work import ADDED_COLUMN, PARTITION_COLUMN, ZSTD_LEVEL, Work, run

# A table of up to so many files is written in one piece.
FEW_FILES = 10


def scan(files: list[str]) -> pl.LazyFrame:
    """Files of one table, with the partition column as the string that it is."""
    return pl.scan_parquet(files, hive_partitioning=True, hive_schema={PARTITION_COLUMN: pl.String}, glob=False)


def sums(frame: pl.LazyFrame, names: list[str]) -> tuple[int, int]:
    """Count and sum of row hashes."""
    return frame.select(pl.len(), pl.struct(names).hash(seed=1).sum().alias("hash")).collect(engine="streaming").row(0)


def write(work: Work) -> dict:
    catalog = work.catalog()
    names = [name for name, _ in work.columns()]
    expected: dict[str, list[int]] = {}
    for name, folder in work.tables():
        target = work.create(catalog, name)
        partitions = work.partitions(folder)
        every = [f for _, files in partitions for f in files]
        whole = not work.clean or len(every) <= FEW_FILES
        for files in [every] if whole else [files for _, files in partitions]:
            frame = scan(files)
            if work.clean:
                kept = frame.unique(maintain_order=False).with_columns(pl.lit("").alias(ADDED_COLUMN[0]))
                kept = kept.select(names).collect(engine="streaming")
                count, sum_of_hashes = sums(kept.lazy(), names)
                total = expected.setdefault(name, [0, 0])
                total[0] += count
                total[1] = (total[1] + sum_of_hashes) % 2**64
                frame = kept.lazy()
            else:
                frame = frame.select(names)
            frame.sink_iceberg(target, mode="append", compression_level=ZSTD_LEVEL, maintain_order=False)
    return {"catalog": catalog, "expected": expected}


def validate(work: Work, written: dict) -> None:
    names = [name for name, _ in work.columns()]
    for name, expected in written["expected"].items():
        found = list(sums(pl.scan_iceberg(written["catalog"].load_table(name)), names))
        if found != expected:
            raise SystemExit(f"{name}: {found} is not {expected}")


if __name__ == "__main__":
    run(write, validate)

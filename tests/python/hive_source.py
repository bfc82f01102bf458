"""The legacy side: a table in Hive's folder layout, read by two parsers that share no code.

In:    a warehouse folder, optionally a description of its tables (columns, partition columns, location).
Out:   the table as a DuckDB relation, parsed either by pyarrow or by DuckDB.
Holds: partition values come from the path alone, decoded once, typed as the description says and
       never inferred; `__HIVE_DEFAULT_PARTITION__` is null; data files are all but those whose name
       begins with `_` or `.`; columns are matched by name without regard to case.
Not here: what is expected of the target, and hashing (`rowhash.py`).
"""

from __future__ import annotations

import datetime
import decimal
import json
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq

NULL_PARTITION = "__HIVE_DEFAULT_PARTITION__"
# Rows handed from pyarrow to DuckDB at a time: large enough to vectorise, small enough to stream.
BATCH_ROWS = 65_536

SIMPLE_TYPES = {
    "tinyint": ("BIGINT", pa.int64()),
    "smallint": ("BIGINT", pa.int64()),
    "int": ("BIGINT", pa.int64()),
    "integer": ("BIGINT", pa.int64()),
    "bigint": ("BIGINT", pa.int64()),
    "float": ("DOUBLE", pa.float64()),
    "double": ("DOUBLE", pa.float64()),
    "boolean": ("BOOLEAN", pa.bool_()),
    "string": ("VARCHAR", pa.string()),
    "binary": ("BLOB", pa.binary()),
    "date": ("DATE", pa.date32()),
    "timestamp": ("TIMESTAMP", pa.timestamp("us")),
}


def split_top_level(text: str) -> list[str]:
    """Splits at the commas that lie outside every angle bracket and parenthesis."""
    parts, depth, start = [], 0, 0
    for at, char in enumerate(text):
        depth += (char in "<(") - (char in ">)")
        if char == "," and depth == 0:
            parts.append(text[start:at])
            start = at + 1
    return parts + [text[start:]]


def wide_types(hive: str) -> tuple[str, pa.DataType]:
    """The widest type of a Hive type's family, for DuckDB and for Arrow: both sides are compared in it."""
    hive = hive.strip()
    lower = hive.lower()
    if lower in SIMPLE_TYPES:
        return SIMPLE_TYPES[lower]
    if re.fullmatch(r"(var)?char\s*\(\s*\d+\s*\)", lower):
        return SIMPLE_TYPES["string"]
    if number := re.fullmatch(r"decimal(?:\s*\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\))?", lower):
        precision, scale = int(number[1] or 10), int(number[2] or 0)
        return f"DECIMAL({precision},{scale})", pa.decimal128(precision, scale)
    if nested := re.fullmatch(r"(array|map|struct)\s*<(.*)>", hive, re.IGNORECASE | re.DOTALL):
        kind, inside = nested[1].lower(), split_top_level(nested[2])
        if kind == "array":
            sql, arrow = wide_types(inside[0])
            return f"{sql}[]", pa.list_(arrow)
        if kind == "map":
            (key_sql, key), (value_sql, value) = wide_types(inside[0]), wide_types(inside[1])
            return f"MAP({key_sql}, {value_sql})", pa.map_(key, value)
        fields = [(name.strip(), *wide_types(kind)) for name, kind in (f.split(":", 1) for f in inside)]
        sql = ", ".join(f"{quoted(name)} {kind}" for name, kind, _ in fields)
        return f"STRUCT({sql})", pa.struct([(name, kind) for name, _, kind in fields])
    raise ValueError(f"no reader for the Hive type {hive!r}")


def quoted(name: str) -> str:
    """A SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def typed(text: str | None, hive: str):
    """A partition value as its declared type has it."""
    if text is None:
        return None
    kind = hive.lower()
    if kind in ("tinyint", "smallint", "int", "integer", "bigint"):
        return int(text)
    if kind in ("float", "double"):
        return float(text)
    if kind.startswith("decimal"):
        return decimal.Decimal(text)
    if kind == "boolean":
        return {"true": True, "false": False}[text.lower()]
    if kind == "date":
        return datetime.date.fromisoformat(text)
    if kind == "timestamp":
        return datetime.datetime.fromisoformat(text)
    return text


@dataclass(frozen=True)
class SourceFile:
    """One data file and the partition values that its path spells."""

    path: Path
    values: tuple[str | None, ...]


@dataclass(frozen=True)
class SourceTable:
    """A table of the legacy warehouse: declared types by column name, and its files."""

    name: str
    columns: dict[str, str]
    partitions: dict[str, str]
    files: tuple[SourceFile, ...]

    def all_columns(self) -> dict[str, str]:
        """Data columns, then partition columns."""
        return {**self.columns, **self.partitions}


def data_files(folder: Path) -> list[SourceFile]:
    """Every data file under a table's folder, in a stable order."""
    found = []

    def walk(at: Path, values: tuple[str | None, ...]) -> None:
        for entry in sorted(at.iterdir()):
            if entry.name.startswith(("_", ".")):
                continue
            if entry.is_dir():
                key, equals, value = entry.name.partition("=")
                step = ((unquote(key).lower(), None if value == NULL_PARTITION else unquote(value)),) if equals else ()
                walk(entry, values + step)
            else:
                found.append(SourceFile(entry, values))

    if folder.is_dir():
        walk(folder, ())
    return found


def footer_columns(files: list[SourceFile]) -> dict[str, str]:
    """Column names and Hive types as the Parquet footers have them (no description was given)."""
    columns: dict[str, str] = {}
    for file in files:
        for field in pq.ParquetFile(file.path, coerce_int96_timestamp_unit="us").schema_arrow:
            columns.setdefault(field.name.lower(), hive_type(field.type))
    return columns


def hive_type(arrow: pa.DataType) -> str:
    """The Hive spelling of an Arrow type."""
    simple = {
        pa.int8(): "tinyint", pa.int16(): "smallint", pa.int32(): "int", pa.int64(): "bigint",
        pa.float32(): "float", pa.float64(): "double", pa.bool_(): "boolean", pa.string(): "string",
        pa.large_string(): "string", pa.binary(): "binary", pa.large_binary(): "binary", pa.date32(): "date",
    }
    if arrow in simple:
        return simple[arrow]
    if pa.types.is_timestamp(arrow):
        return "timestamp"
    if pa.types.is_decimal(arrow):
        return f"decimal({arrow.precision},{arrow.scale})"
    if pa.types.is_map(arrow):
        return f"map<{hive_type(arrow.key_type)},{hive_type(arrow.item_type)}>"
    if pa.types.is_list(arrow) or pa.types.is_large_list(arrow):
        return f"array<{hive_type(arrow.value_type)}>"
    if pa.types.is_struct(arrow):
        return f"struct<{','.join(f'{f.name}:{hive_type(f.type)}' for f in arrow)}>"
    raise ValueError(f"no Hive type for {arrow}")


def types(columns: dict | list) -> dict[str, str]:
    """Types by name in lower case, from either form of a description: a mapping, or a list that has an order."""
    if isinstance(columns, list):
        return {column["name"].lower(): column["type"] for column in columns}
    return {name.lower(): hive_type for name, hive_type in columns.items()}


def open_table(warehouse: Path, name: str, description: Path | None) -> SourceTable:
    """Finds `database.table` in a warehouse folder, by its description where there is one."""
    database, table = name.split(".", 1)
    folder = warehouse / f"{database}.db" / table
    entry = None
    if description is not None:
        document = json.loads(description.read_text())
        if document.get("database") == database:
            entry = document["tables"].get(table)
        if entry is None:
            raise ValueError(f"{description} does not describe {name}")
        if entry.get("location"):
            folder = description.parent / entry["location"]
    raw = data_files(folder)
    if entry is not None:
        columns = types(entry["columns"])
        partitions = types(entry.get("partition_columns", {}))
    else:
        if not raw:
            raise ValueError(f"{name}: no data files under {folder} and no description")
        columns = footer_columns(raw)
        partitions = {key: "string" for key, _ in raw[0].values}
    files = []
    for file in raw:
        spelled = dict(file.values)
        if set(spelled) != set(partitions):
            raise ValueError(f"{file.path}: the path spells {sorted(spelled)}, the table has {sorted(partitions)}")
        files.append(SourceFile(file.path.absolute(), tuple(spelled[key] for key in partitions)))
    columns = {k: v for k, v in columns.items() if k not in partitions}
    return SourceTable(name, columns, partitions, tuple(files))


def read_with_pyarrow(table: SourceTable) -> pa.RecordBatchReader:
    """Streams the table through pyarrow's Parquet parser, partition columns last."""
    kinds = {name: wide_types(hive)[1] for name, hive in table.all_columns().items()}
    schema = pa.schema(list(kinds.items()))

    def batches():
        for file in table.files:
            values = [typed(v, t) for v, t in zip(file.values, table.partitions.values())]
            reader = pq.ParquetFile(file.path, coerce_int96_timestamp_unit="us")
            present = {name.lower(): name for name in reader.schema_arrow.names}
            wanted = [present[name] for name in table.columns if name in present]
            for batch in reader.iter_batches(batch_size=BATCH_ROWS, columns=wanted):
                arrays = []
                for name in table.columns:
                    column = batch.column(present[name]) if name in present else pa.nulls(len(batch))
                    arrays.append(as_kind(column, kinds[name]))
                for name, value in zip(table.partitions, values):
                    arrays.append(pa.repeat(pa.scalar(value, kinds[name]), len(batch)))
                yield pa.RecordBatch.from_arrays(arrays, schema=schema)

    return pa.RecordBatchReader.from_batches(schema, batches())


def as_kind(column: pa.Array, kind: pa.DataType) -> pa.Array:
    """Casts to the compared type; a timestamp with a zone keeps its UTC wall clock."""
    if pa.types.is_timestamp(column.type) and column.type.tz is not None:
        column = column.cast(pa.timestamp(column.type.unit))
    return column.cast(kind)


def duckdb_source_sql(connection, table: SourceTable) -> str:
    """A query that reads the table through DuckDB's Parquet parser, partition columns last."""
    every = table.all_columns()
    if not table.files:
        nulls = ", ".join(f"CAST(NULL AS {wide_types(t)[0]}) AS {quoted(n)}" for n, t in every.items())
        return f"SELECT {nulls} WHERE false"
    # A file name is data here: escape what DuckDB would take for a glob.
    paths = ", ".join(literal(re.sub(r"([*?\[])", r"[\1]", str(f.path))) for f in table.files)
    scan = f"read_parquet([{paths}], filename = '__file', hive_partitioning = false, union_by_name = true)"
    present = {c.lower(): c for c in connection.sql(f"SELECT * FROM {scan} LIMIT 0").columns}
    keys = list(table.partitions)
    connection.execute("DROP TABLE IF EXISTS partition_values")
    fields = ", ".join(f"{quoted(k)} {wide_types(t)[0]}" for k, t in table.partitions.items())
    connection.execute(f"CREATE TEMP TABLE partition_values (__path VARCHAR{', ' + fields if fields else ''})")
    rows = [[str(f.path), *(typed(v, t) for v, t in zip(f.values, table.partitions.values()))] for f in table.files]
    connection.executemany(f"INSERT INTO partition_values VALUES ({', '.join('?' * (len(keys) + 1))})", rows)
    chosen = []
    for name, hive in table.columns.items():
        origin = f"d.{quoted(present[name])}" if name in present else "NULL"
        chosen.append(f"CAST({origin} AS {wide_types(hive)[0]}) AS {quoted(name)}")
    chosen += [f"p.{quoted(key)}" for key in keys]
    return f"SELECT {', '.join(chosen)} FROM {scan} d JOIN partition_values p ON d.__file = p.__path"

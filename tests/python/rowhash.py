"""Sums of row hashes, computed by DuckDB whichever parser delivered the rows.

In:    a query over rows.
Out:   its columns with their compared types, its count, and the sum of the rows' hashes.
Holds: a sum, never XOR, so duplicates count; every column is in the hash; two types are compared
       in the widest type of their family; what DuckDB's hash cannot tell apart is told apart here:
       -0.0 and 0.0 by a sign bit, null and empty or null-filled nested values by their JSON text,
       map entries by sorting them.
Not here: any code of the program under test; how rows are read.
"""

from __future__ import annotations

from dataclasses import dataclass

from hive_source import quoted

INTEGERS = {"tinyint", "smallint", "integer", "bigint", "utinyint", "usmallint", "uinteger"}
FLOATS = {"float", "double"}
NESTED = {"list", "array", "struct", "map"}

# A date before 1582-10-15 as a writer with the hybrid (Julian, then Gregorian) calendar counted
# it, turned into the day that has the same year, month and day in the proleptic calendar.
HYBRID_CALENDAR = """
CREATE OR REPLACE TEMP MACRO julian_shifted(d) AS date_diff('day', DATE '1970-01-01', d) + 2440588 + 32082;
CREATE OR REPLACE TEMP MACRO julian_year(c) AS (4 * c + 3) // 1461;
CREATE OR REPLACE TEMP MACRO julian_rest(c) AS c - (1461 * julian_year(c)) // 4;
CREATE OR REPLACE TEMP MACRO julian_month(c) AS (5 * julian_rest(c) + 2) // 153;
CREATE OR REPLACE TEMP MACRO julian_date(c) AS
  (make_date((julian_year(c) - 4800 + julian_month(c) // 10)::INTEGER,
             (julian_month(c) + 3 - 12 * (julian_month(c) // 10))::INTEGER, 1)
   + (julian_rest(c) - (153 * julian_month(c) + 2) // 5)::INTEGER)::DATE;
CREATE OR REPLACE TEMP MACRO hybrid_date(d) AS
  CASE WHEN d < DATE '1582-10-15' THEN julian_date(julian_shifted(d)) ELSE d END;
CREATE OR REPLACE TEMP MACRO hybrid_timestamp(t) AS
  CASE WHEN t < TIMESTAMP '1582-10-15' THEN hybrid_date(t::DATE) + (t - date_trunc('day', t)) ELSE t END;
"""


@dataclass(frozen=True)
class Sums:
    """What is compared: how many rows, the sum of their hashes, and the same for each column."""

    rows: int
    hash_sum: int
    columns: dict[str, int] | None = None


def wide_type(kind) -> str:
    """The compared type of a DuckDB type: the widest of its family."""
    if kind.id in INTEGERS:
        return "BIGINT"
    if kind.id in FLOATS:
        return "DOUBLE"
    if kind.id in ("list", "array"):
        return wide_type(dict(kind.children)["child"]) + "[]"
    if kind.id == "map":
        inside = dict(kind.children)
        return f"MAP({wide_type(inside['key'])}, {wide_type(inside['value'])})"
    if kind.id == "struct":
        return "STRUCT(" + ", ".join(f"{quoted(n)} {wide_type(t)}" for n, t in kind.children) + ")"
    return str(kind)


def described(connection, query: str) -> dict[str, tuple[str, str]]:
    """The query's columns: lower-case name to (name as it stands, compared type)."""
    relation = connection.sql(f"SELECT * FROM ({query}) LIMIT 0")
    return {n.lower(): (n, wide_type(t)) for n, t in zip(relation.columns, relation.types)}


def parts(name: str, kind: str) -> dict[str, str]:
    """The expressions that stand for one column: its value, and what its hash alone would not see."""
    value = f"CAST({quoted(name)} AS {kind})"
    key = name.lower()
    if kind == "DOUBLE":
        return {key: value, f"{key}__sign": f"signbit({value}) AND NOT isnan({value})"}
    if kind.startswith("MAP("):
        # list_sort keeps a null map null.
        value = f"list_sort(map_entries({value}))"
    if kind.endswith("[]") or kind.startswith(("STRUCT(", "MAP(")):
        return {key: value, f"{key}__text": f"CAST(to_json({value}) AS VARCHAR)"}
    return {key: value}


def sums(connection, query: str, *, distinct: bool = False, by_column: bool = False) -> Sums:
    """Counts and sums a query's rows, exact duplicates first removed where asked."""
    columns = described(connection, query)
    exprs: dict[str, str] = {}
    owner: dict[str, list[str]] = {}
    for key in sorted(columns):
        name, kind = columns[key]
        made = parts(name, kind)
        owner[key] = list(made)
        exprs.update(made)
    projection = ", ".join(f"{e} AS {quoted(n)}" for n, e in exprs.items())
    rows = f"SELECT {'DISTINCT ' if distinct else ''}{projection} FROM ({query})"
    whole = "coalesce(sum(hash(" + ", ".join(quoted(n) for n in exprs) + ")), 0)"
    wanted = ["count(*)", whole]
    if by_column:
        for key in owner:
            # Seeded, because DuckDB's hash of a lone zero is zero and would not be seen to go.
            wanted.append("coalesce(sum(hash(1, " + ", ".join(quoted(n) for n in owner[key]) + ")), 0)")
    answer = connection.execute(f"SELECT {', '.join(wanted)} FROM ({rows})").fetchone()
    each = {key: int(v) for key, v in zip(owner, answer[2:])} if by_column else None
    return Sums(int(answer[0]), int(answer[1]), each)

#!/usr/bin/env python3
"""Does the judge condemn? Each case damages a good table in one way that compare.py must see.

Needs the environment of `tests/python/venv`; writes only into a temporary folder.
"""

from __future__ import annotations

import contextlib
import datetime
import decimal
import io
import json
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyiceberg.catalog.sql import SqlCatalog

import compare
import hive_source
import read_table

ROWS = 40
TYPES = {
    "id": "int", "title": "string", "score": "double", "tags": "array<int>", "owner": "struct<x:int,y:string>",
    "counts": "map<string,bigint>", "price": "decimal(18,4)", "day": "date", "at": "timestamp",
}
PARTITIONS = {"country": "string", "hour": "string"}
PATHS = ["country=S%C3%A3o%2FP%3D1 x/hour=01", "country=__HIVE_DEFAULT_PARTITION__/hour=00", "country=01/hour=01"]


def rows(seed: int) -> pa.Table:
    """A few rows with everything that is easily lost."""
    ids = range(seed * ROWS, (seed + 1) * ROWS)
    kinds = [pa.field(name, hive_source.wide_types(hive)[1]) for name, hive in TYPES.items()]
    columns = [
        list(ids),
        [None if i % 3 == 0 else "" if i % 3 == 1 else f"title {i}" for i in ids],
        [float("nan") if i % 5 == 0 else -0.0 if i % 5 == 1 else i / 7 for i in ids],
        [None if i % 4 == 0 else [] if i % 4 == 1 else [i, None] for i in ids],
        [None if i % 6 == 0 else {"x": None, "y": None} if i % 6 == 1 else {"x": i, "y": "y"} for i in ids],
        [[("b", i), ("a", i)] for i in ids],
        [None if i % 7 == 0 else decimal.Decimal(i * 3).scaleb(-4) for i in ids],
        [datetime.date(1969, 12, 20) + datetime.timedelta(days=i) for i in ids],
        [datetime.datetime(1960, 1, 1) + datetime.timedelta(hours=i, microseconds=i) for i in ids],
    ]
    arrays = [pa.array(c, f.type) for c, f in zip(columns, kinds)]
    return pa.table(arrays, names=list(TYPES))


def changed(table: pa.Table, column: str, change) -> pa.Table:
    """The table with one column's values passed through a function."""
    field = table.schema.field(column)
    values = pa.array([change(v) for v in table[column].to_pylist()], field.type)
    return table.set_column(table.schema.get_field_index(column), field, values)


class TheJudge(unittest.TestCase):
    """One warehouse for all cases; each case publishes its own target."""

    @classmethod
    def setUpClass(cls) -> None:
        cls.folder = tempfile.TemporaryDirectory()
        cls.base = Path(cls.folder.name)
        cls.warehouse, cls.catalog_file = cls.base / "warehouse", cls.base / "catalog.sqlite"
        location = cls.warehouse / "music.db" / "plays"
        for seed, path in enumerate(PATHS):
            (location / path).mkdir(parents=True)
            # The last partition holds the first one's rows twice: exact duplicates.
            table = rows(seed) if seed < 2 else pa.concat_tables([rows(0), rows(0)])
            pq.write_table(table, location / path / "part-00000")
            (location / path / ".part-00000.crc").write_bytes(b"crc")
        (location / "_SUCCESS").touch()
        cls.description = cls.base / "metastore.json"
        cls.description.write_text(json.dumps({"database": "music", "tables": {"plays": {
            "columns": TYPES, "partition_columns": PARTITIONS, "location": "warehouse/music.db/plays"}}}))
        cls.catalog = SqlCatalog("lake", uri=f"sqlite:///{cls.catalog_file}", warehouse=f"file://{cls.base}/lake")
        cls.catalog.create_namespace("music")
        source = hive_source.open_table(cls.warehouse, "music.plays", cls.description)
        cls.good = hive_source.read_with_pyarrow(source).read_all()

    @classmethod
    def tearDownClass(cls) -> None:
        cls.folder.cleanup()

    def judge(self, table: pa.Table, *options: str) -> tuple[int, dict]:
        """Publishes a table and compares it with the source."""
        name = self._testMethodName
        target = self.catalog.create_table(f"music.{name}", schema=table.schema)
        with target.update_spec() as spec:
            for key in PARTITIONS:
                spec.add_identity(key)
        target.append(table)
        words = ["--warehouse", str(self.warehouse), "--description", str(self.description),
                 "--catalog", str(self.catalog_file), "--table", f"music.plays=music.{name}", *options]
        return self.run_main(compare, words)

    @staticmethod
    def run_main(module, words: list[str]) -> tuple[int, dict]:
        out = io.StringIO()
        with mock.patch.object(sys, "argv", ["it", *words]), contextlib.redirect_stdout(out):
            code = module.main()
        return code, json.loads(out.getvalue())

    def assert_seen(self, table: pa.Table, *columns: str) -> None:
        """Both verdicts say no, and name exactly these columns where the rows are as many."""
        code, document = self.judge(table)
        self.assertEqual(code, 1)
        for verdict in document["tables"][0]["verdicts"]:
            self.assertFalse(verdict["agree"])
            if columns:
                self.assertEqual(verdict["columns_that_differ"], list(columns))

    def test_a_faithful_copy_is_acquitted(self) -> None:
        code, document = self.judge(self.good)
        self.assertEqual(code, 0, document)

    def test_a_lost_row_is_seen(self) -> None:
        self.assert_seen(self.good.slice(1))

    def test_a_row_written_twice_is_seen(self) -> None:
        self.assert_seen(pa.concat_tables([self.good, self.good.slice(3, 1)]))

    def test_one_row_lost_and_another_twice_is_seen(self) -> None:
        self.assert_seen(pa.concat_tables([self.good.slice(1), self.good.slice(3, 1)]))

    def test_null_turned_into_an_empty_string_is_seen(self) -> None:
        self.assert_seen(changed(self.good, "title", lambda v: v or ""), "title")

    def test_minus_zero_turned_into_zero_is_seen(self) -> None:
        self.assert_seen(changed(self.good, "score", lambda v: 0.0 if v == 0 else v), "score")

    def test_a_null_list_turned_into_an_empty_one_is_seen(self) -> None:
        self.assert_seen(changed(self.good, "tags", lambda v: v or []), "tags")

    def test_a_null_struct_turned_into_one_of_nulls_is_seen(self) -> None:
        self.assert_seen(changed(self.good, "owner", lambda v: v or {"x": None, "y": None}), "owner")

    def test_a_microsecond_is_seen(self) -> None:
        first = self.good["at"][0].as_py()
        self.assert_seen(changed(self.good, "at", lambda v: v.replace(microsecond=999) if v == first else v), "at")

    def test_a_partition_value_without_its_leading_zero_is_seen(self) -> None:
        self.assert_seen(changed(self.good, "hour", lambda v: v.lstrip("0") or "0"), "hour")

    def test_a_partition_value_decoded_twice_or_never_is_seen(self) -> None:
        self.assert_seen(changed(self.good, "country", lambda v: v and v.replace("/", "%2F")), "country")

    def test_a_null_partition_kept_as_its_name_is_seen(self) -> None:
        self.assert_seen(changed(self.good, "country", lambda v: v or hive_source.NULL_PARTITION), "country")

    def test_another_order_of_map_entries_is_no_difference(self) -> None:
        code, document = self.judge(changed(self.good, "counts", lambda v: v[::-1]))
        self.assertEqual(code, 0, document)

    def test_another_type_is_seen(self) -> None:
        at = self.good.schema.get_field_index("id")
        code, document = self.judge(self.good.set_column(at, "id", self.good["id"].cast(pa.string())))
        self.assertEqual(code, 1)
        self.assertEqual(document["tables"][0]["verdicts"][0]["schema_differences"][0]["column"], "id")

    def test_an_added_column_and_dropped_duplicates_are_expected_when_told(self) -> None:
        # The partition with the duplicates sorts first.
        kept = self.good.slice(ROWS).append_column("description", pa.repeat("", 3 * ROWS))
        code, document = self.judge(kept, "--add", "description=''", "--distinct")
        self.assertEqual(code, 0, document)
        self.assertEqual(document["tables"][0]["verdicts"][0]["rows"], {"expected": 3 * ROWS, "found": 3 * ROWS})

    def test_any_other_change_is_expected_as_sql(self) -> None:
        kept = self.good.filter(pc.greater(self.good["id"], 5))
        code, document = self.judge(kept, "--sql", "SELECT * FROM source WHERE id > 5")
        self.assertEqual(code, 0, document)

    def test_a_missing_target_is_an_error_and_not_a_difference(self) -> None:
        words = ["--warehouse", str(self.warehouse), "--description", str(self.description),
                 "--catalog", str(self.catalog_file), "--table", "music.plays=music.nowhere"]
        code, document = self.run_main(compare, words)
        self.assertEqual((code, document["totals"]["failed"]), (2, 1))

    def test_facts_are_borne_out_by_both_readers_or_named(self) -> None:
        self.judge(self.good)
        words = ["--catalog", str(self.catalog_file), "--table", f"music.{self._testMethodName}=plays"]
        _, document = self.run_main(read_table, words)
        (facts,) = document.values()
        self.assertEqual(facts["rows"], 4 * ROWS)
        self.assertEqual(facts["distinct_rows"], 3 * ROWS)
        self.assertEqual(facts["rows_by_partition"]["country=São/P=1 x/hour=01"], ROWS)
        path = self.base / "facts.json"
        path.write_text(json.dumps({"plays": facts}))
        self.assertEqual(self.run_main(read_table, [*words, "--against", str(path)])[0], 0)
        facts["nulls"]["title"] += 1
        path.write_text(json.dumps({"plays": facts}))
        code, document = self.run_main(read_table, [*words, "--against", str(path)])
        self.assertEqual(code, 1)
        (verdict,) = document.values()
        self.assertEqual([d["of"] for d in verdict["differences"]["pyiceberg"]], ["title"])


if __name__ == "__main__":
    unittest.main(verbosity=2)

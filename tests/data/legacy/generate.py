#!/usr/bin/env python3
"""Writes the fixture beside this file: a small legacy warehouse by Hive's and Spark's own writers.

  usage: generate.py OUT_DIR      (needs pyspark==3.5.9 and Java; OUT_DIR must not exist)

OUT_DIR/warehouse/radio.db/…   the data files as Hive lays them out
OUT_DIR/metastore.json         what the metastore says of each table, locations relative to OUT_DIR
OUT_DIR/facts.json             what Spark counts in each table, in the form that `read_table.py --against` reads

It stays in the repository as the record of how the fixture was made; tests read the fixture and need neither Spark nor Java.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

DATABASE = "radio"
NESTED = ("map", "array", "struct")
NUMBERS = ("byte", "short", "integer", "long", "decimal")

# One row of an airing: every type that a legacy table has, with the values that are easily lost.
AIRINGS = """
SELECT CAST(n AS INT) slot,
       CAST(n * 7919 - 4000000000 AS BIGINT) listeners,
       CASE n % 9 WHEN 0 THEN DOUBLE('NaN') WHEN 1 THEN DOUBLE('-0.0') WHEN 2 THEN DOUBLE('-Infinity') WHEN 3 THEN NULL
                  ELSE n / 3.0D END loudness,
       CAST((n - 50) * 12345.678 AS DECIMAL(20,3)) fee,
       CASE n % 8 WHEN 0 THEN NULL WHEN 1 THEN '' WHEN 2 THEN concat('a,b;', n, '\\t"x"') WHEN 3 THEN '\\\\N' WHEN 4 THEN ' größe ' ELSE concat('jingle ', n) END jingle,
       DATE_ADD(DATE'1967-06-01', CAST(n * 11 AS INT)) first_aired,
       TIMESTAMP_MICROS(n * 98765432101 - 9000000000000) aired_at,
       n % 3 = 0 live,
       CAST(n % 128 - 60 AS TINYINT) mood,
       CAST(n * 5 - 900 AS SMALLINT) channel,
       CASE n % 4 WHEN 0 THEN NULL WHEN 1 THEN ARRAY() ELSE ARRAY(concat('tag', n), NULL) END tags,
       MAP('de', CAST(n AS INT), 'fr', NULL) votes,
       NAMED_STRUCT('host', concat('host ', n % 5), 'guests', CAST(n % 2 AS INT)) crew,
       concat('s', n % 3) station
FROM (SELECT id n FROM RANGE(180) UNION ALL SELECT id * 9 FROM RANGE(15))
"""
FLAT = "slot INT, listeners BIGINT, loudness DOUBLE, fee DECIMAL(20,3), jingle STRING, first_aired DATE, aired_at TIMESTAMP, live BOOLEAN, mood TINYINT, channel SMALLINT"
ALL = FLAT + ", tags ARRAY<STRING>, votes MAP<STRING,INT>, crew STRUCT<host:STRING,guests:INT>"
FLAT_NAMES = ", ".join(column.split()[0] for column in FLAT.split(", "))

TABLES = [
    (f"CREATE TABLE airings ({ALL}) PARTITIONED BY (station STRING) STORED AS PARQUET",
     "INSERT OVERWRITE airings PARTITION(station) SELECT * FROM rows"),
    (f"CREATE TABLE airings_text ({ALL}) PARTITIONED BY (station STRING) STORED AS TEXTFILE",
     "INSERT OVERWRITE airings_text PARTITION(station) SELECT * FROM rows"),
    (f"CREATE TABLE airings_pipe ({FLAT}) ROW FORMAT DELIMITED FIELDS TERMINATED BY '|' ESCAPED BY '\\\\' STORED AS TEXTFILE",
     f"INSERT OVERWRITE airings_pipe SELECT {FLAT_NAMES} FROM rows"),
    ("CREATE TABLE towns (slot INT) PARTITIONED BY (town STRING, floor INT) STORED AS PARQUET",
     "INSERT OVERWRITE towns PARTITION(town, floor) SELECT slot, CASE slot % 3 WHEN 0 THEN NULL WHEN 1 THEN 'Köln/A=1 ?' ELSE '007' END, slot % 2 FROM rows"),
    ("CREATE TABLE codes (slot INT, code VARCHAR(9), flag CHAR(5)) STORED AS PARQUET",
     "INSERT OVERWRITE codes SELECT slot, concat('c', slot), concat('f', slot % 20) FROM rows"),
    ("CREATE TABLE silence (slot INT, jingle STRING) STORED AS PARQUET", None),
    (f"CREATE TABLE airings_orc ({ALL}) PARTITIONED BY (station STRING) STORED AS ORC",
     "INSERT OVERWRITE airings_orc PARTITION(station) SELECT * FROM rows"),
    (f"CREATE TABLE airings_avro (slot INT, listeners BIGINT, loudness DOUBLE, fee DECIMAL(20,3), jingle STRING, first_aired DATE, aired_at TIMESTAMP, live BOOLEAN, tags ARRAY<STRING>, votes MAP<STRING,INT>, crew STRUCT<host:STRING,guests:INT>) PARTITIONED BY (station STRING) STORED AS AVRO",
     "INSERT OVERWRITE airings_avro PARTITION(station) SELECT slot, listeners, loudness, fee, jingle, first_aired, date_trunc('MILLISECOND', aired_at), live, tags, votes, crew, station FROM rows"),
    ("CREATE TABLE airings_opencsv (slot STRING, jingle STRING) ROW FORMAT SERDE 'org.apache.hadoop.hive.serde2.OpenCSVSerde' STORED AS TEXTFILE",
     "INSERT OVERWRITE airings_opencsv SELECT CAST(slot AS STRING), jingle FROM rows"),
    ("CREATE TABLE airings_bz2 (slot INT, jingle STRING) ROW FORMAT DELIMITED FIELDS TERMINATED BY '|' STORED AS TEXTFILE",
     "INSERT OVERWRITE airings_bz2 SELECT slot, jingle FROM rows"),
    ("CREATE TABLE later_orc (slot INT, added STRING, words VARCHAR(9), code CHAR(5)) PARTITIONED BY (station STRING) CLUSTERED BY (slot) INTO 2 BUCKETS STORED AS ORC",
     "INSERT OVERWRITE later_orc PARTITION(station) SELECT slot, jingle, concat('c', slot), concat('f', slot % 20), station FROM rows"),
    ("CREATE TABLE airings_rc (slot INT) STORED AS RCFILE", "INSERT OVERWRITE airings_rc SELECT slot FROM rows LIMIT 5"),
    ("CREATE TABLE airings_seq (slot INT) STORED AS SEQUENCEFILE", "INSERT OVERWRITE airings_seq SELECT slot FROM rows LIMIT 5"),
    ("CREATE TABLE buckets (slot INT, jingle STRING) CLUSTERED BY (slot) INTO 2 BUCKETS STORED AS PARQUET",
     "INSERT OVERWRITE buckets SELECT slot, jingle FROM rows LIMIT 40"),
    ("CREATE VIEW loud AS SELECT slot FROM airings WHERE loudness > 20", None),
]


# Hive's JsonSerDe is not among Spark's classes, so that Spark writes the files and the description is written here.
JSON = "slot INT, listeners BIGINT, fee DECIMAL(20,3), jingle STRING, first_aired DATE, live BOOLEAN, tags ARRAY<STRING>, votes MAP<STRING,INT>, crew STRUCT<host:STRING,guests:INT>"
JSON_NAMES = "slot, listeners, fee, jingle, first_aired, live, tags, votes, crew"
JSON_TABLE = "airings_json"


def session(out: Path) -> SparkSession:
    options = {
        "spark.sql.warehouse.dir": str(out / "warehouse"),
        "spark.hadoop.javax.jdo.option.ConnectionURL": f"jdbc:derby:;databaseName={out}/derby;create=true",
        "spark.hadoop.hive.exec.dynamic.partition.mode": "nonstrict",
        "spark.sql.hive.convertMetastoreParquet": "false", "spark.sql.hive.convertMetastoreOrc": "false",
        "spark.sql.session.timeZone": "UTC", "spark.driver.extraJavaOptions": "-Duser.timezone=UTC",
        "spark.sql.shuffle.partitions": "1", "spark.ui.enabled": "false",
        "spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1",
        "hive.enforce.bucketing": "false", "spark.hadoop.hive.enforce.bucketing": "false",
    }
    builder = SparkSession.builder.master("local[1]")
    for key, value in options.items():
        builder = builder.config(key, value)
    return builder.enableHiveSupport().getOrCreate()


def described(spark: SparkSession, name: str, frame, out: Path) -> dict:
    """What the metastore says of a table."""
    table = spark._jsparkSession.sharedState().externalCatalog().unwrapped().getTable(DATABASE, name)
    size = table.partitionColumnNames().size()
    keys = [table.partitionColumnNames().apply(at) for at in range(size)]
    kinds = {f.name: f.dataType.simpleString() for f in table_fields(spark, name, frame)}
    entry = {"type": table.tableType().name(), "columns": {c: t for c, t in kinds.items() if c not in keys},
             "partition_columns": {c: kinds[c] for c in keys}}
    if entry["type"] == "VIEW":
        return entry | {"sql": table.viewText().get()}
    details = {r.col_name: r.data_type for r in spark.sql(f"DESCRIBE FORMATTED {name}").collect()}
    entry |= {"serde": details["Serde Library"], "input_format": details["InputFormat"], "storage": details.get("Storage Properties"),
              "location": details["Location"].removeprefix("file:").removeprefix(f"{out}/"), "buckets": details.get("Num Buckets")}
    if keys:
        entry["partitions"] = sorted(r.partition for r in spark.sql(f"SHOW PARTITIONS {name}").collect())
    return entry


class Field:
    """A column with the type that its table declares: char and varchar keep their lengths."""

    def __init__(self, name: str, kind: str) -> None:
        self.name, self.kind = name, kind
        self.dataType = self

    def simpleString(self) -> str:
        return self.kind


def table_fields(spark: SparkSession, name: str, frame) -> list[Field]:
    declared = {}
    for row in spark.sql(f"DESCRIBE {name}").collect():
        if row.col_name in frame.columns:
            declared[row.col_name] = row.data_type
    return [Field(c, declared[c]) for c in frame.columns]


def facts(frame, fields: list[Field], keys: list[str]) -> dict:
    """What Spark counts."""
    kinds = {f.name: f.dataType.typeName() for f in frame.schema.fields}
    flat = frame.select([F.to_json(F.struct(F.col(c))).alias(c) if k in NESTED else F.col(c) for c, k in kinds.items()])
    out = {"rows": frame.count(), "distinct_rows": flat.distinct().count(), "columns": {f.name: f.kind for f in fields},
           "nulls": {c: frame.filter(F.col(c).isNull()).count() for c in kinds}}
    numbers = [c for c, k in kinds.items() if k in NUMBERS]
    if numbers:
        sums = frame.agg(*[F.sum(F.col(c).cast("decimal(38,4)")) for c in numbers]).first()
        out["sums"] = {c: str(v) for c, v in zip(numbers, sums)}
    simple = [c for c, k in kinds.items() if k not in (*NESTED, "binary", "boolean")]
    if out["rows"]:
        for which, function in (("min", F.min), ("max", F.max)):
            # Without the filter Spark takes the folder name of a null partition for its value.
            out[which] = {c: frame.filter(F.col(c).isNotNull()).agg(function(c).cast("string")).first()[0] for c in simple}
    if keys:
        null = "__HIVE_DEFAULT_PARTITION__"
        rows = frame.groupBy(*keys).count().collect()
        out["rows_by_partition"] = {"/".join(f"{k}={null if r[k] is None else r[k]}" for k in keys): r["count"] for r in rows}
    return out


def main() -> None:
    out = Path(sys.argv[1]).absolute()
    out.mkdir(parents=True)
    spark = session(out)
    spark.sparkContext.setLogLevel("ERROR")
    spark.sql(f"CREATE DATABASE {DATABASE}")
    spark.sql(f"USE {DATABASE}")
    spark.sql(AIRINGS).createTempView("rows")
    for create, insert in TABLES:
        spark.sql(create)
        packed = "airings_bz2" in create
        spark.sql(f"SET hive.exec.compress.output={str(packed).lower()}")
        spark.sql(f"SET mapreduce.output.fileoutputformat.compress={str(packed).lower()}")
        spark.sql("SET mapreduce.output.fileoutputformat.compress.codec=org.apache.hadoop.io.compress.BZip2Codec")
        if insert:
            spark.sql(insert)
    metastore, counted = {}, {}
    for row in spark.sql(f"SHOW TABLES IN {DATABASE}").collect():
        if row.isTemporary:
            continue
        frame = spark.table(row.tableName)
        metastore[row.tableName] = described(spark, row.tableName, frame, out)
        keys = list(metastore[row.tableName]["partition_columns"])
        counted[row.tableName] = facts(frame, table_fields(spark, row.tableName, frame), keys)
    location = f"warehouse/{DATABASE}.db/{JSON_TABLE}"
    spark.sql(f"SELECT {JSON_NAMES} FROM rows").coalesce(1).write.json(str(out / location), ignoreNullFields=True)
    frame = spark.read.schema(JSON).json(str(out / location))
    fields = [Field(f.name, f.dataType.simpleString()) for f in frame.schema.fields]
    metastore[JSON_TABLE] = {"type": "MANAGED", "columns": {f.name: f.kind for f in fields}, "partition_columns": {},
                             "serde": "org.apache.hive.hcatalog.data.JsonSerDe",
                             "input_format": "org.apache.hadoop.mapred.TextInputFormat",
                             "storage": "[serialization.format=1]", "location": location, "buckets": None}
    counted[JSON_TABLE] = facts(frame, fields, [])
    for name, document in (("metastore", {"database": DATABASE, "tables": metastore}), ("facts", counted)):
        # Columns stay in the order of their table: in delimited text it is all that tells them apart.
        text = json.dumps(document, indent=1, ensure_ascii=False)
        (out / f"{name}.json").write_text(text + "\n")
    spark.stop()
    shutil.rmtree(out / "derby")


if __name__ == "__main__":
    main()

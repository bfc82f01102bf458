#!/usr/bin/env python3
"""A real Hive Metastore with tables that Spark wrote, for as long as standard input is open.

  metastore.py          (needs the packages of `spark.txt` and Java 17)

In:    lines of SQL on standard input; each is run by Spark and answered with one line, `null` or the error's text in JSON.
Out:   first one line of JSON: `uri` of the metastore, the `folder` that everything lies in, and `facts`: what Spark counts in
       each table, in the form that `read_table.py --against` reads.
Holds: the metastore is a process of its own, with Derby, on a free port. It has no way to be told an address to listen on.
       It ends with this program, however that ends; the folder is removed.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyspark
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

DATABASE = "hub"
NULL = "__HIVE_DEFAULT_PARTITION__"
# Partitions of the table that has many: more than two pages of the client.
MANY = 1_200
# Every so many of them have rows.
MANY_WITH_ROWS = 100
# A metastore makes its schema in Derby when it starts; on a busy machine that takes a while.
PATIENCE_SECONDS = 240
PR_SET_PDEATHSIG = 1

# Rows with the values that are easily lost on the way.
ROWS = """
SELECT CAST(n AS INT) id, CAST(n * 7919 - 4000000000 AS BIGINT) big, CAST((n - 50) * 12.345 AS DECIMAL(12,3)) fee,
       CASE n % 4 WHEN 0 THEN NULL WHEN 1 THEN '' WHEN 2 THEN concat('a,b\\t"', n) ELSE concat('größe ', n) END word,
       concat('v', n) short, concat('f', n % 9) flag, DATE_ADD(DATE'1967-06-01', CAST(n * 11 AS INT)) day,
       CASE n % 4 WHEN 0 THEN NULL WHEN 1 THEN 'São/P=1 x' WHEN 2 THEN '01' ELSE 'a:b%' END country, CAST(n % 2 AS INT) floor
FROM (SELECT id n FROM RANGE(160) UNION ALL SELECT id * 9 FROM RANGE(12))
"""

# A value of each type that a table can have.
TYPES = """
SELECT id, big, CASE id % 9 WHEN 0 THEN DOUBLE('NaN') WHEN 1 THEN DOUBLE('-0.0') WHEN 2 THEN NULL ELSE id / 3.0D END ratio, fee, word, day,
       TIMESTAMP_MICROS(id * 98765432101 - 9000000000000) at, id % 3 = 0 live, CAST(id % 120 - 60 AS TINYINT) tiny, CAST(id * 5 - 900 AS SMALLINT) small,
       CAST(id AS FLOAT) single, CAST(short AS BINARY) raw,
       CASE id % 4 WHEN 0 THEN NULL WHEN 1 THEN ARRAY() ELSE ARRAY(short, NULL) END tags, MAP('de', CAST(id AS INT), 'fr', NULL) votes,
       NAMED_STRUCT('host', short, 'guests', id % 2) crew, lpad(CAST(id % 4 AS STRING), 2, '0') hour
FROM rows
"""
FLAT = "id INT, big BIGINT, ratio DOUBLE, fee DECIMAL(12,3), word STRING, day DATE, at TIMESTAMP"
NESTED = "tags ARRAY<STRING>, votes MAP<STRING,INT>, crew STRUCT<host:STRING,guests:INT>"
EVERY = f"{FLAT}, live BOOLEAN, tiny TINYINT, small SMALLINT, single FLOAT, raw BINARY, {NESTED}"
FORMATS = [
    *[statement for name, form in (("every_parquet", "PARQUET"), ("every_orc", "ORC"), ("every_text", "TEXTFILE")) for statement in (
        f"CREATE TABLE {name} ({EVERY}) PARTITIONED BY (hour STRING) STORED AS {form}",
        f"INSERT INTO {name} PARTITION(hour) SELECT * FROM types")],
    f"CREATE TABLE every_avro ({FLAT}, {NESTED}) PARTITIONED BY (hour STRING) STORED AS AVRO",
    "INSERT INTO every_avro PARTITION(hour) SELECT id, big, ratio, fee, word, day, date_trunc('MILLISECOND', at), tags, votes, crew, hour FROM types",
    f"CREATE TABLE piped ({FLAT}) ROW FORMAT DELIMITED FIELDS TERMINATED BY ',' ESCAPED BY '\\\\' STORED AS TEXTFILE",
    "INSERT INTO piped SELECT id, big, ratio, fee, word, day, at FROM types",
    "CREATE TABLE quoted (id STRING, word STRING) ROW FORMAT SERDE 'org.apache.hadoop.hive.serde2.OpenCSVSerde' STORED AS TEXTFILE",
    "INSERT INTO quoted SELECT CAST(id AS STRING), word FROM rows",
]

# Statements; those that begin with `!` are names of steps of this program.
LOAD = [
    "CREATE TABLE plays (id INT COMMENT 'the number', big BIGINT, fee DECIMAL(12,3), word STRING, short VARCHAR(9), flag CHAR(5),"
    " day DATE) COMMENT 'What was played' PARTITIONED BY (country STRING COMMENT 'where', floor INT) STORED AS PARQUET",
    "INSERT INTO plays PARTITION(country, floor) SELECT id, big, fee, word, short, flag, day, country, floor FROM rows",
    # In the metastore, but elsewhere on the disk.
    "ALTER TABLE plays ADD PARTITION (country='else', floor=7) LOCATION '{folder}/elsewhere/odd name'",
    "INSERT INTO plays PARTITION(country='else', floor=7) SELECT id, big, fee, word, short, flag, day FROM rows WHERE id < 20",
    # In the metastore, and nowhere on the disk; then the reverse.
    "ALTER TABLE plays ADD PARTITION (country='gone', floor=1)",
    "!folders",
    "CREATE TABLE notes (id INT, word STRING) PARTITIONED BY (day STRING) ROW FORMAT DELIMITED FIELDS TERMINATED BY '|'"
    " ESCAPED BY '\\\\' STORED AS TEXTFILE",
    "INSERT INTO notes PARTITION(day='2024-01-01') SELECT id, word FROM rows",
    # Partitions that are there keep their two columns.
    "ALTER TABLE notes ADD COLUMNS (later BIGINT)",
    "INSERT INTO notes PARTITION(day='2024-01-02') SELECT id, word, big FROM rows WHERE id < 50",
    "CREATE TABLE CamelCase (UserId INT, Word STRING) USING parquet",
    "INSERT INTO CamelCase SELECT id, word FROM rows",
    "CREATE EXTERNAL TABLE outlying (id INT) STORED AS PARQUET LOCATION 'file://{folder}/elsewhere/outlying'",
    "INSERT INTO outlying SELECT id FROM rows",
    "CREATE TABLE silence (id INT) PARTITIONED BY (day DATE) STORED AS PARQUET",
    "CREATE TABLE many (id INT) PARTITIONED BY (k INT) STORED AS PARQUET",
    "!many",
    f"INSERT INTO many PARTITION(k) SELECT id, id * {MANY_WITH_ROWS} FROM RANGE({MANY // MANY_WITH_ROWS})",
    "CREATE TABLE moving (id INT) PARTITIONED BY (day STRING) STORED AS PARQUET",
    "INSERT INTO moving PARTITION(day='1') SELECT id FROM rows",
    "CREATE TABLE wandering (id INT) PARTITIONED BY (day STRING) STORED AS PARQUET",
    "INSERT INTO wandering PARTITION(day='1') SELECT id FROM rows",
    # Every format, with every type that it can hold.
    *FORMATS,
    "CREATE TABLE drawers (id INT, word STRING) CLUSTERED BY (id) INTO 3 BUCKETS STORED AS ORC",
    "INSERT INTO drawers SELECT id, word FROM rows",
    "CREATE TABLE lined (id INT, word STRING, fee DECIMAL(12,3), tags ARRAY<STRING>) STORED AS TEXTFILE",
    "!lined",
    # A column that has become wider; the partition keeps what it was.
    "CREATE TABLE widened (id INT, word STRING) PARTITIONED BY (day STRING) STORED AS PARQUET",
    "INSERT INTO widened PARTITION(day='1') SELECT id, word FROM rows",
    "!widened",
    "INSERT INTO widened PARTITION(day='2') SELECT big, word FROM rows WHERE id < 20",
    # What is refused by name.
    "CREATE TABLE rows_in_columns (id INT) STORED AS RCFILE",
    "CREATE TABLE sequence (id INT) STORED AS SEQUENCEFILE",
    "CREATE VIEW loud AS SELECT id FROM plays WHERE fee > 20",
    "CREATE TABLE spark_csv (id INT) USING csv",
    "CREATE EXTERNAL TABLE forbidden (id INT) STORED AS PARQUET LOCATION '{folder}/forbidden/t'",
    "INSERT INTO forbidden SELECT id FROM rows",
    "CREATE TABLE merging (id INT) CLUSTERED BY (id) INTO 2 BUCKETS STORED AS ORC",
    "!transactional",
    "CREATE TABLE drifting (id INT) PARTITIONED BY (day STRING) STORED AS TEXTFILE",
    "INSERT INTO drifting PARTITION(day='1') SELECT id FROM rows",
    "!drift",
    "CREATE TABLE mixed (id INT) PARTITIONED BY (day STRING) STORED AS PARQUET",
    "INSERT INTO mixed PARTITION(day='1') SELECT id FROM rows",
    "!mixed",
]
COUNTED = ["plays", "notes", "camelcase", "outlying", "silence", "many", "drawers", "widened",
           "every_parquet", "every_orc", "every_text", "every_avro", "piped", "quoted"]
# Spark has no class that reads Hive's JSON lines: it counts the rows that it wrote.
COUNTED_IN = {"lined": "lined_rows"}


def ends_with_us() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def free_port() -> int:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return bound.getsockname()[1]


def start_metastore(folder: Path, port: int) -> subprocess.Popen:
    """The metastore of the jars that Spark brings along."""
    properties = {
        "javax.jdo.option.ConnectionURL": f"jdbc:derby:;databaseName={folder}/derby;create=true",
        "javax.jdo.option.ConnectionDriverName": "org.apache.derby.jdbc.EmbeddedDriver",
        "datanucleus.schema.autoCreateAll": "true",
        "hive.metastore.schema.verification": "false",
        "hive.metastore.warehouse.dir": f"{folder}/warehouse",
        "hive.metastore.server.min.threads": "4",
        "hive.async.log.enabled": "false",
    }
    lines = [f"<property><name>{name}</name><value>{value}</value></property>" for name, value in properties.items()]
    (folder / "conf").mkdir()
    (folder / "conf/hive-site.xml").write_text("<configuration>" + "\n".join(lines) + "</configuration>")
    classes = f"{folder}/conf:{pyspark.__path__[0]}/jars/*"
    command = ["java", "-Xmx512m", "-XX:TieredStopAtLevel=1", f"-Dderby.stream.error.file={folder}/derby.log", "-cp", classes,
               "org.apache.hadoop.hive.metastore.HiveMetaStore", "-p", str(port)]
    log = (folder / "metastore.log").open("w")
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder, preexec_fn=ends_with_us)
    began = time.monotonic()
    while True:
        with socket.socket() as tried:
            if tried.connect_ex(("127.0.0.1", port)) == 0:
                return server
        if server.poll() is not None or time.monotonic() - began > PATIENCE_SECONDS:
            server.kill()
            raise RuntimeError("the metastore does not come up:\n" + (folder / "metastore.log").read_text()[-4000:])
        time.sleep(0.1)


def session(folder: Path, uri: str) -> SparkSession:
    options = {
        "spark.sql.warehouse.dir": f"{folder}/warehouse", "spark.hadoop.hive.metastore.uris": uri,
        "spark.hadoop.hive.exec.dynamic.partition.mode": "nonstrict",
        "spark.sql.hive.convertMetastoreParquet": "false", "spark.sql.hive.convertMetastoreOrc": "false",
        "hive.enforce.bucketing": "false", "spark.hadoop.hive.enforce.bucketing": "false", "spark.sql.session.timeZone": "UTC",
        "spark.driver.extraJavaOptions": "-Duser.timezone=UTC -XX:TieredStopAtLevel=1",
        "spark.sql.shuffle.partitions": "1", "spark.ui.enabled": "false",
        # As Hive: a partition without its folder holds no rows.
        "spark.files.ignoreMissingFiles": "true", "spark.sql.files.ignoreMissingFiles": "true",
        # Hive's casts, not those of standard SQL.
        "spark.sql.ansi.enabled": "false",
        "spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1",
    }
    builder = SparkSession.builder.master("local[1]")
    for key, value in options.items():
        builder = builder.config(key, value)
    spark = builder.enableHiveSupport().getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    return spark


class Client:
    """The metastore's own Java client, for what Spark's SQL refuses or does slowly."""

    def __init__(self, spark: SparkSession) -> None:
        self.spark = spark
        self.java = spark._jvm.java.util
        hive = spark._jvm.org.apache.hadoop.hive
        self.api = hive.metastore.api
        configuration = hive.conf.HiveConf(spark._jsc.hadoopConfiguration(), hive.conf.HiveConf().getClass())
        self.client = hive.metastore.HiveMetaStoreClient(configuration)

    def many(self) -> None:
        """Adds all partitions of `many` in one call; they share one description of their storage."""
        pattern = self.client.getTable(DATABASE, "many").getSd()
        root, partitions = pattern.getLocation(), self.java.ArrayList()
        for k in range(MANY):
            partition = self.api.Partition()
            partition.setDbName(DATABASE)
            partition.setTableName("many")
            values = self.java.ArrayList()
            values.add(str(k))
            partition.setValues(values)
            storage = pattern.deepCopy()
            storage.setLocation(f"{root}/k={k}")
            partition.setSd(storage)
            partition.setParameters(self.java.HashMap())
            partitions.add(partition)
        self.client.add_partitions(partitions)
        # The metastore makes their folders; a copy of a warehouse has none where there are no rows.
        for k in range(MANY):
            Path(f"{root.removeprefix('file:')}/k={k}").rmdir()

    def transactional(self) -> None:
        """Flags `merging` as a table of Hive's transactions; only Hive itself may make one."""
        table = self.client.getTable(DATABASE, "merging")
        table.getParameters().put("transactional", "true")
        self.client.alter_table(DATABASE, "merging", table)

    def first_partition(self, table: str):
        values = self.java.ArrayList()
        values.add("1")
        return self.client.getPartition(DATABASE, table, values)

    def drift(self) -> None:
        """Gives a partition of text another type than its table has."""
        partition = self.first_partition("drifting")
        partition.getSd().getCols().get(0).setType("string")
        self.client.alter_partition(DATABASE, "drifting", partition)

    def mixed(self) -> None:
        """Gives a partition the format of text, where its table has Parquet."""
        partition = self.first_partition("mixed")
        partition.getSd().setInputFormat("org.apache.hadoop.mapred.TextInputFormat")
        partition.getSd().getSerdeInfo().setSerializationLib("org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe")
        self.client.alter_partition(DATABASE, "mixed", partition)

    def widened(self) -> None:
        """Makes a table's column wider, and leaves the partition as it is."""
        table = self.client.getTable(DATABASE, "widened")
        table.getSd().getCols().get(0).setType("bigint")
        self.forget_spark_schema(table)
        self.client.alter_table(DATABASE, "widened", table)

    def lined(self) -> None:
        """Lets the class that reads JSON lines in Hive read `lined`; Spark does not have it."""
        table = self.client.getTable(DATABASE, "lined")
        self.spark.sql("SELECT id, word, fee, tags FROM types").write.mode("append").json(table.getSd().getLocation())
        frame = self.spark.read.schema("id INT, word STRING, fee DECIMAL(12,3), tags ARRAY<STRING>").json(table.getSd().getLocation())
        frame.createTempView(COUNTED_IN["lined"])
        table.getSd().getSerdeInfo().setSerializationLib("org.apache.hive.hcatalog.data.JsonSerDe")
        self.client.alter_table(DATABASE, "lined", table)

    @staticmethod
    def forget_spark_schema(table) -> None:
        """Spark keeps a schema of its own among the properties, and believes it."""
        properties = table.getParameters()
        for name in [name for name in properties if name.startswith("spark.sql.sources.schema")]:
            properties.remove(name)


def folders(folder: Path) -> None:
    """A partition without its folder, a folder without its partition, a file that is in no partition."""
    plays = folder / f"warehouse/{DATABASE}.db/plays"
    shutil.rmtree(plays / "country=gone", ignore_errors=True)
    data = next(path for path in plays.glob("country=01/floor=0/*") if path.is_file() and not path.name.startswith((".", "_")))
    (plays / "country=stray/floor=0").mkdir(parents=True)
    shutil.copy(data, plays / "country=stray/floor=0/part-0")
    shutil.copy(data, plays / "loose")


def load(spark: SparkSession, folder: Path) -> None:
    client = Client(spark)
    spark.sql(f"CREATE DATABASE {DATABASE} LOCATION 'file:{folder}/warehouse/{DATABASE}.db'")
    spark.sql(f"USE {DATABASE}")
    spark.sql(ROWS).createTempView("rows")
    spark.sql(TYPES).createTempView("types")
    for statement in LOAD:
        if statement == "!folders":
            folders(folder)
        elif statement.startswith("!"):
            getattr(client, statement[1:])()
        else:
            spark.sql(statement.format(folder=folder))


def counted(spark: SparkSession, name: str) -> dict:
    """What Spark counts in a table, in one pass."""
    frame = spark.table(name)
    declared = {row.col_name: row.data_type for row in reversed(spark.sql(f"DESCRIBE {name}").collect())}
    keys = [column.name for column in spark.catalog.listColumns(name) if column.isPartition]
    for key in keys:
        # Through Hive's classes Spark shows the name of the folder where Hive shows null.
        frame = frame.withColumn(key, F.when(F.col(key).cast("string") != NULL, F.col(key)))
    kinds = {f.name: f.dataType.typeName() for f in frame.schema.fields}
    numbers = [c for c, k in kinds.items() if k in ("byte", "short", "integer", "long", "decimal")]
    nested = [c for c, k in kinds.items() if k in ("array", "map", "struct")]
    simple = [c for c, k in kinds.items() if c not in nested and k not in ("binary", "boolean")]
    lower = lambda names: {n.lower(): answer.pop(0) for n in names}  # noqa: E731
    answer = list(frame.agg(
        F.count(F.lit(1)), *[F.count(F.when(F.col(c).isNull(), 1)) for c in kinds],
        *[F.sum(F.col(c).cast("decimal(38,4)")).cast("string") for c in numbers],
        *[which(c).cast("string") for which in (F.min, F.max) for c in simple]).first())
    # Maps cannot be compared, so that nested values are, as text.
    flat = frame.select([F.to_json(F.struct(c)).alias(c) if c in nested else F.col(c) for c in kinds])
    out = {"rows": answer.pop(0), "distinct_rows": flat.distinct().count(), "nulls": lower(kinds), 
           "sums": {n: str(total) for n, total in lower(numbers).items()}, "columns": {c.lower(): declared[c] for c in kinds}}
    low, high = lower(simple), lower(simple)
    if out["rows"]:
        out |= {"min": low, "max": high}
    if keys:
        rows = frame.groupBy(*keys).count().collect()
        out["rows_by_partition"] = {"/".join(f"{k}={NULL if r[k] is None else r[k]}" for k in keys): r["count"] for r in rows}
    return out


def main() -> None:
    # Java names files in the encoding of the locale; without one, letters that ASCII lacks would be lost.
    os.environ["LC_ALL"] = "C.UTF-8"
    folder = Path(tempfile.mkdtemp(prefix="skein-metastore-"))
    server = spark = None
    try:
        for name in ("warehouse", "elsewhere", "forbidden"):
            (folder / name).mkdir()
        port = free_port()
        # Spark writes its own words to standard output as well.
        answers = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)
        server = start_metastore(folder, port)
        uri = f"thrift://127.0.0.1:{port}"
        spark = session(folder, uri)
        load(spark, folder)
        tables = {name: name for name in COUNTED} | COUNTED_IN
        facts = {name: counted(spark, table) for name, table in tables.items()}
        print(json.dumps({"uri": uri, "folder": str(folder), "facts": facts}), file=answers, flush=True)
        for line in sys.stdin:
            error = None
            try:
                spark.sql(line.strip())
            except Exception as failed:  # noqa: BLE001: whatever it is, the test wants to see it.
                error = str(failed)
            print(json.dumps(error), file=answers, flush=True)
    finally:
        if spark is not None:
            spark.stop()
        if server is not None:
            server.kill()
            server.wait()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()

"""Writes the sample and the hashes that the tests of `spark64` compare with. Run once; the outputs are kept.

usage: python generate.py            (needs pyspark==3.5.9 and Java; writes beside this file)

sample.parquet    every type that Hive and Spark share, with the values that hashes get wrong
expected.parquet  for each row of it: Spark's xxhash64 of each single column, and of all columns together
sums.json         rows and sums as `query.sql` prints them, for all columns and for each column alone
query.sql         read, not written: the text that the engine renders for an outsider. Spark runs it here.
"""
import glob, json, os, shutil, sys, tempfile
from pyspark.sql import SparkSession

HERE = os.path.dirname(os.path.abspath(__file__))
ROWS, TWICE = 200, 15

spark = (SparkSession.builder.master("local[1]").config("spark.driver.memory", "1g")
         .config("spark.ui.enabled", "false").config("spark.driver.host", "127.0.0.1")
         .config("spark.driver.bindAddress", "127.0.0.1").config("spark.sql.session.timeZone", "UTC")
         .config("spark.sql.warehouse.dir", tempfile.mkdtemp()).config("spark.sql.shuffle.partitions", "1")
         .config("spark.sql.parquet.datetimeRebaseModeInWrite", "CORRECTED")
         .config("spark.sql.parquet.outputTimestampType", "TIMESTAMP_MICROS").getOrCreate())
spark.sparkContext.setLogLevel("ERROR")

# name, type, expression over `id` (0..ROWS, the first TWICE of them twice)
COLUMNS = [
    ("i", "int", "CASE WHEN id = 1 THEN -2147483648 WHEN id = 2 THEN 2147483647 WHEN id % 23 = 0 THEN NULL ELSE id * 7919 - 700000 END"),
    ("b", "bigint", "CASE WHEN id = 1 THEN -9223372036854775808L WHEN id = 2 THEN 9223372036854775807L WHEN id % 29 = 0 THEN NULL ELSE id * 1000003L * 1000033L - 100000000000000L END"),
    ("d", "double", "CASE id % 17 WHEN 0 THEN double('NaN') WHEN 1 THEN -0.0D WHEN 2 THEN 0.0D WHEN 3 THEN NULL WHEN 4 THEN double('Infinity') WHEN 5 THEN double('-Infinity') WHEN 6 THEN 4.9E-324D ELSE (id - 90) / 7.0D END"),
    ("m", "decimal(18,4)", "CASE WHEN id % 31 = 0 THEN NULL ELSE (id - 90) * 1.01 END"),
    ("s", "string", "CASE WHEN id % 11 = 0 THEN NULL WHEN id % 13 = 0 THEN '' WHEN id % 7 = 0 THEN concat('name,', id, ' \"q\" é\\t\\u65e5\\u672c') ELSE substr(repeat('abcdefghijklmnopqrstuvwxyz0123456789', 12), cast(id % 5 + 1 AS int), cast(id AS int)) END"),
    ("dd", "date", "CASE WHEN id % 37 = 0 THEN NULL ELSE date_add(DATE'1969-12-25', cast(id % 400 AS int)) END"),
    ("ts", "timestamp", "CASE WHEN id % 41 = 0 THEN NULL ELSE timestamp_micros(id * 1234567890123 - 7) END"),
    ("arr", "array<int>", "CASE WHEN id % 5 = 0 THEN NULL WHEN id % 5 = 1 THEN array() WHEN id % 5 = 2 THEN array(NULL) ELSE array(id, NULL, 3 - id) END"),
    ("mp", "map<string,bigint>", "CASE WHEN id % 6 = 0 THEN NULL WHEN id % 6 = 1 THEN map() WHEN id % 6 = 2 THEN map('k', id) ELSE map('z', id, 'é', NULL, 'a', -id, 'ab', 5, '', 6) END"),
    ("st", "struct<x:int,y:string>", "CASE WHEN id % 9 = 0 THEN NULL WHEN id % 9 = 1 THEN named_struct('x', NULL, 'y', NULL) ELSE named_struct('x', id, 'y', concat('s', id)) END"),
    ("bo", "boolean", "CASE WHEN id % 7 = 0 THEN NULL ELSE id % 2 = 0 END"),
    ("ti", "tinyint", "CASE WHEN id % 43 = 0 THEN NULL ELSE id % 256 - 128 END"),
    ("si", "smallint", "CASE WHEN id % 47 = 0 THEN NULL ELSE id * 300 - 32768 END"),
    ("f", "float", "CASE id % 19 WHEN 0 THEN float('NaN') WHEN 1 THEN -0.0F WHEN 2 THEN 0.0F WHEN 3 THEN NULL WHEN 4 THEN float('-Infinity') WHEN 5 THEN 1.4E-45F ELSE (id - 90) / 3.0F END"),
    ("bin", "binary", "CASE WHEN id % 8 = 0 THEN NULL WHEN id % 8 = 1 THEN X'' ELSE unhex(substr(repeat('00FF80E97F01', 12), 1, cast(id % 70 AS int) * 2)) END"),
    ("dt", "string", "concat('2024-01-0', id % 3 + 1)"),
    ("nothing", "int", "NULL"),
    ("m5", "decimal(5,2)", "(id - 90) * 1.17"),
    ("m18", "decimal(18,0)", "CASE WHEN id = 1 THEN 999999999999999999 WHEN id = 2 THEN -999999999999999999 ELSE (id - 90) * 1000000007 * 77777 END"),
    ("m19", "decimal(19,2)", "CASE WHEN id = 1 THEN 99999999999999999.99 WHEN id = 2 THEN -99999999999999999.99 WHEN id = 3 THEN 0 WHEN id = 4 THEN -0.01 WHEN id = 5 THEN -1.28 WHEN id = 6 THEN 1.27 WHEN id = 7 THEN 1.28 WHEN id = 8 THEN -1.29 WHEN id % 53 = 0 THEN NULL ELSE (id - 90) * 123456789.01 END"),
    ("m38", "decimal(38,10)", "CASE WHEN id = 1 THEN 9999999999999999999999999999.9999999999 WHEN id = 2 THEN -9999999999999999999999999999.9999999999 WHEN id % 53 = 0 THEN NULL ELSE cast(concat(id - 90, '0123456789012345678.0123456789') AS decimal(38,10)) END"),
    ("old_date", "date", "date_add(DATE'0001-01-01', cast(id * 3650 AS int))"),
    ("old_ts", "timestamp", "timestamp_micros(-62135596800000000 + id * 315360000123457)"),
    ("texts", "array<string>", "CASE WHEN id % 4 = 0 THEN NULL WHEN id % 4 = 1 THEN array('') ELSE array('a', NULL, concat('é', id), '') END"),
    ("doubles", "array<double>", "array(double('NaN'), -0.0D, NULL, id / 3.0D)"),
    ("grid", "array<array<int>>", "CASE WHEN id % 3 = 0 THEN array(array(1), array(2, id)) WHEN id % 3 = 1 THEN array(array(1, 2), array(), NULL) ELSE array() END"),
    ("by_int", "map<int,string>", "map(5, 'five', -7, NULL, id + 10, concat('n', id), 0, '')"),
    ("by_double", "map<double,boolean>", "map(double('NaN'), true, id / 7.0D + 1, false, -3.5D, NULL, double('-Infinity'), true)"),
    ("by_decimal", "map<decimal(20,2),date>", "map(cast(-1.28 AS decimal(20,2)), DATE'1500-01-01', cast(id AS decimal(20,2)), NULL, cast(-1000 AS decimal(20,2)), DATE'2024-02-29')"),
    ("by_binary", "map<binary,timestamp>", "map(X'FF', TIMESTAMP'1960-01-01 00:00:00.000001', X'00', NULL, X'7F', timestamp_micros(id), X'', NULL)"),
    ("by_struct", "map<struct<p:int,q:string>,tinyint>", "map(struct(cast(2 AS int), 'b'), cast(1 AS tinyint), struct(cast(2 AS int), cast(NULL AS string)), cast(2 AS tinyint), struct(cast(NULL AS int), 'z'), cast(id % 100 AS tinyint))"),
    ("maps", "array<map<string,int>>", "CASE WHEN id % 3 = 0 THEN array(map('b', 1, 'a', 2), NULL, map()) WHEN id % 3 = 1 THEN NULL ELSE array(map('y', id, 'x', NULL)) END"),
    ("inner_map", "struct<a:int,m:map<string,array<int>>>", "CASE WHEN id % 4 = 0 THEN NULL WHEN id % 4 = 1 THEN named_struct('a', id, 'm', NULL) ELSE named_struct('a', id, 'm', map('q', array(3, 1), 'p', NULL, 'o', array())) END"),
    ("map_of_maps", "map<string,map<int,int>>", "map('b', map(2, 20, 1, NULL), 'a', NULL, 'c', map(id + 5, 1, 3, 4))"),
    ("deep", "struct<p:struct<q:string,r:timestamp>,w:decimal(38,0)>", "CASE WHEN id % 4 = 0 THEN NULL WHEN id % 4 = 1 THEN named_struct('p', NULL, 'w', id - 90) ELSE named_struct('p', named_struct('q', concat('q', id), 'r', timestamp_micros(-id)), 'w', NULL) END"),
    ("odd `name", "int", "id * 3"),
]

# How Spark, which refuses to hash maps, hashes them all the same; written by hand, independent of query.sql.
ENTRIES = {name: f"sort_array(map_entries({name}))" for name, kind, _ in COLUMNS if kind.startswith("map<")}
ENTRIES["maps"] = "transform(maps, x -> sort_array(map_entries(x)))"
ENTRIES["inner_map"] = "named_struct('a', inner_map.a, 'm', sort_array(map_entries(inner_map.m)))"
ENTRIES["map_of_maps"] = "sort_array(transform(map_entries(map_of_maps), e -> struct(e.key, sort_array(map_entries(e.value)))))"


def quoted(name):
    return "`" + name.replace("`", "``") + "`"


def hashable(name):
    return ENTRIES.get(name, quoted(name))


def single_file(frame, name):
    folder = tempfile.mkdtemp()
    frame.coalesce(1).write.mode("overwrite").parquet(folder)
    shutil.copyfile(glob.glob(folder + "/part-*.parquet")[0], os.path.join(HERE, name))
    shutil.rmtree(folder)


assert spark.sql("SELECT xxhash64('Spark', array(123), 2)").first()[0] == 5602566077635097486
exprs = ", ".join(f"cast({expression} AS {kind}) AS {quoted(name)}" for name, kind, expression in COLUMNS)
spark.sql(f"""CREATE TEMP VIEW made AS SELECT cast(rid AS int) rid, {exprs}
    FROM (SELECT id, id AS rid FROM range({ROWS}) UNION ALL SELECT id, id + {ROWS} AS rid FROM range({TWICE})) ORDER BY rid""")
single_file(spark.table("made"), "sample.parquet")

# From here on everything is computed from the file, as an outsider would.
spark.sql("CREATE DATABASE music")
spark.sql(f"CREATE TABLE music.every_type USING parquet LOCATION '{HERE}/sample.parquet'")
names = [name for name, _, _ in COLUMNS]
singles = ", ".join(f"xxhash64({hashable(name)}) AS {quoted(name)}" for name in names)
everything = ", ".join(hashable(name) for name in ["rid"] + names)
single_file(spark.sql(f"SELECT rid, {singles}, xxhash64({everything}) AS `all columns` FROM music.every_type ORDER BY rid"), "expected.parquet")

total = lambda text: dict(zip(("rows", "sum"), map(str, spark.sql(text).first())))
sums = {"columns": {name: total(f"SELECT count(*), sum(cast(xxhash64({hashable(name)}) AS decimal(38,0))) FROM music.every_type") for name in names},
        "all": total(f"SELECT count(*), sum(cast(xxhash64({everything}) AS decimal(38,0))) FROM music.every_type")}
if os.path.exists(HERE + "/query.sql"):
    text = open(HERE + "/query.sql", encoding="utf-8").read()
    sums["query"] = total(text)
    sums["query_of_no_rows"] = total(text.strip() + " WHERE rid < 0")
    assert sums["query"] == sums["all"], "the rendered query and the one written by hand differ"
json.dump(sums, open(HERE + "/sums.json", "w", encoding="utf-8"), indent=1, ensure_ascii=False)
print(json.dumps(sums["all"]), {name: os.path.getsize(os.path.join(HERE, name)) for name in os.listdir(HERE)}, file=sys.stderr)
spark.stop()

"""row128, written a second time from docs/checksum.md alone: what an outsider needs to recompute it.

usage: python row128.py FILE.parquet [COLUMN ...]   rows and sum of a file, over all columns or those named
       python row128.py --golden                    writes golden.json, which the engine's tests compare with
(needs pyarrow and xxhash)
"""
import datetime, decimal, json, os, struct, sys
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

decimal.getcontext().prec = 80
EPOCH = datetime.datetime(1970, 1, 1)


def count(n):
    out = b""
    while n >= 128:
        out += bytes([n % 128 + 128])
        n //= 128
    return out + bytes([n])


def code(kind, value):
    """The bytes of one value of an Arrow type; `value` as pyarrow's as_py() gives it."""
    if value is None:
        return b"\x00"
    if pa.types.is_boolean(kind):
        return b"\x02" if value else b"\x01"
    if pa.types.is_integer(kind):
        return b"\x03" + struct.pack("<q", value)
    if pa.types.is_floating(kind):
        return b"\x04" + (struct.pack("<Q", 0x7FF8000000000000) if value != value else struct.pack("<d", value))
    if pa.types.is_decimal(kind):
        unscaled = int(value.scaleb(kind.scale))
        return b"\x05" + struct.pack("<b", kind.scale) + unscaled.to_bytes(16, "little", signed=True)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        text = value.encode("utf-8")
        return b"\x06" + count(len(text)) + text
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return b"\x07" + count(len(value)) + value
    if pa.types.is_date(kind):
        return b"\x08" + struct.pack("<i", (value - EPOCH.date()).days)
    if pa.types.is_timestamp(kind):
        return b"\x09" + struct.pack("<q", (value.replace(tzinfo=None) - EPOCH) // datetime.timedelta(microseconds=1))
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return b"\x0a" + count(len(value)) + b"".join(code(kind.value_type, item) for item in value)
    if pa.types.is_map(kind):
        return b"\x0b" + count(len(value)) + b"".join(sorted(code(kind.key_type, k) + code(kind.item_type, v) for k, v in value))
    if pa.types.is_struct(kind):
        return b"\x0c" + count(kind.num_fields) + b"".join(code(f.type, value[f.name]) for f in kind)
    raise TypeError(f"{kind} has no checksum")


def row_hash(row):
    """The hash of one row: a list of (type, value)."""
    return xxhash.xxh3_128_intdigest(b"".join(code(kind, value) for kind, value in row))


def table_sum(table, names):
    columns = [(table.schema.field(n).type, table.column(n).to_pylist()) for n in names]
    hashes = [row_hash([(kind, values[r]) for kind, values in columns]) for r in range(table.num_rows)]
    return {"rows": len(hashes), "sum": f"{sum(hashes) % 2**128:032x}"}


I, L, D, S, B, T = pa.int32(), pa.int64(), pa.float64(), pa.string(), pa.binary(), pa.timestamp("us")
MAP, PAIR = pa.map_(S, I), pa.struct([("k", S), ("v", I)])
LI, LLI, ONE = pa.list_(I), pa.list_(pa.list_(I)), pa.struct([("a", I)])
dec = lambda precision, scale, text: (pa.decimal128(precision, scale), decimal.Decimal(text))
micros = lambda n: EPOCH + datetime.timedelta(microseconds=n)
GOLDEN = {
    "no columns": [],
    "null": [(I, None)], "two nulls": [(I, None), (S, None)],
    "empty text": [(S, "")], "text null": [(S, "null")], "text NULL": [(S, "NULL")], "empty binary": [(B, b"")],
    "texts ab, c": [(S, "ab"), (S, "c")], "texts a, bc": [(S, "a"), (S, "bc")], "text abc": [(S, "abc")],
    "texts empty, abc": [(S, ""), (S, "abc")], "texts abc, empty": [(S, "abc"), (S, "")], "binary abc": [(B, b"abc")],
    "text with é": [(S, "é")], "text with e and accent": [(S, "e\u0301")], "text with a zero byte": [(S, "\0")], "text of a space": [(S, " ")],
    "int 1": [(I, 1)], "text 1": [(S, "1")], "true": [(pa.bool_(), True)], "double 1": [(D, 1.0)],
    "decimal 1": [dec(10, 0, "1")], "decimal 1.0": [dec(10, 1, "1.0")], "decimal 1.00": [dec(10, 2, "1.00")], "decimal 10": [dec(10, 0, "10")],
    "decimal -1": [dec(10, 0, "-1")], "decimal of 38 nines": [dec(38, 0, "9" * 38)], "decimal of 38 nines, negative": [dec(38, 10, "-" + "9" * 28 + "." + "9" * 10)],
    "int 0": [(I, 0)], "double 0": [(D, 0.0)], "double -0": [(D, -0.0)], "double nan": [(D, float("nan"))], "double inf": [(D, float("inf"))],
    "false": [(pa.bool_(), False)], "date 0": [(pa.date32(), datetime.date(1970, 1, 1))], "timestamp 0": [(T, micros(0))],
    "decimal 0": [dec(10, 0, "0")], "date -1": [(pa.date32(), datetime.date(1969, 12, 31))], "timestamp -1": [(T, micros(-1))],
    "date of 1500": [(pa.date32(), datetime.date(1500, 3, 1))], "timestamp of 1500": [(T, datetime.datetime(1500, 3, 1, 1, 2, 3, 4))],
    "int -1": [(I, -1)], "int 255": [(I, 255)], "bigint max": [(L, 2**63 - 1)], "bigint min": [(L, -2**63)],
    "empty list": [(LI, [])], "list of null": [(LI, [None])], "list of empty text": [(pa.list_(S), [""])], "list of two nulls": [(LI, [None, None])],
    "[[1],[2]]": [(LLI, [[1], [2]])], "[[1,2]]": [(LLI, [[1, 2]])], "[[1,2],[]]": [(LLI, [[1, 2], []])], "[[1,2],null]": [(LLI, [[1, 2], None])],
    "[1,2]": [(LI, [1, 2])], "[2,1]": [(LI, [2, 1])], "[1]": [(LI, [1])],
    "{a:1,b:2}": [(MAP, [("a", 1), ("b", 2)])], "{a:2,b:1}": [(MAP, [("a", 2), ("b", 1)])], "{}": [(MAP, [])], "{a:null}": [(MAP, [("a", None)])],
    "entries of {a:1,b:2}": [(pa.list_(PAIR), [{"k": "a", "v": 1}, {"k": "b", "v": 2}])],
    "{aa:1,b:2}": [(MAP, [("aa", 1), ("b", 2)])], "{b:2} thrice as long": [(MAP, [("b" * 200, 2), ("a" * 129, 1)])],
    "struct(null)": [(ONE, {"a": None})], "struct(1)": [(ONE, {"a": 1})], "struct(null, null)": [(PAIR, {"k": None, "v": None})],
    "struct(struct(null))": [(pa.struct([("s", ONE)]), {"s": {"a": None}})],
    "ints 1, 2": [(I, 1), (I, 2)], "ints 2, 1": [(I, 2), (I, 1)], "null, 1": [(I, None), (I, 1)], "1, null": [(I, 1), (I, None)], "ints 1, 1": [(I, 1), (I, 1)],
    "text of 127": [(S, "x" * 127)], "text of 128": [(S, "x" * 128)], "text of 16384": [(S, "x" * 16384)], "binary of 300": [(B, b"x" * 300)],
}

if __name__ == "__main__":
    here = os.path.dirname(os.path.abspath(__file__))
    if sys.argv[1:] == ["--golden"]:
        sample = pq.read_table(here + "/../spark64/sample.parquet")
        golden = {
            "rows": {name: {"code": b"".join(code(*v) for v in row)[:64].hex(), "hash": f"{row_hash(row):032x}"} for name, row in GOLDEN.items()},
            "sample": {"all": table_sum(sample, sample.column_names), "columns": {n: table_sum(sample, [n]) for n in sample.column_names}},
        }
        json.dump(golden, open(here + "/golden.json", "w", encoding="utf-8"), indent=1, ensure_ascii=False)
    else:
        table = pq.read_table(sys.argv[1], partitioning=None)
        print(json.dumps(table_sum(table, sys.argv[2:] or table.column_names)))

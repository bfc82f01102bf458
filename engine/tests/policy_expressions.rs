//! The SQL that policies may use means something to the engine: every function of the allow-list and every form of
//! expression is planned and evaluated, both in statements (as scripts and checks have them) and as a compiled row filter.

#![allow(clippy::unwrap_used, reason = "nobody calls this but people and tests: a panic says where")]

use std::collections::BTreeSet;

use arrow::array::{AsArray, RecordBatch};
use datafusion::prelude::SessionContext;
use skein_engine::script::script_session;
use skein_engine::transform::RowFilter;
use skein_protocol::expr::{Expression, Kind, aggregate_names, function_names};

/// One row, with a column of each family of types.
const ROW: &str = "SELECT 'Abc' AS s, CAST(7 AS BIGINT) AS n, CAST(1.50 AS DECIMAL(10,2)) AS d, -2.5 AS f, \
    DATE '2024-02-29' AS day, CAST('2024-02-29T12:34:56.789' AS TIMESTAMP(6)) AS ts, true AS flag, \
    CAST(NULL AS VARCHAR) AS nothing, make_array(1, 2) AS list, named_struct('city', 'x') AS address, MAP {'lang': 'de'} AS tags";

/// Expressions that are true of that row, by the function that they are about.
const TRUE_OF_ROW: &[(&str, &str)] = &[
    ("lower", "lower(s) = 'abc'"),
    ("upper", "upper(s) = 'ABC'"),
    ("initcap", "initcap('ab cd') = 'Ab Cd'"),
    ("btrim", "btrim('xax', 'x') = 'a'"),
    ("trim", "trim(' a ') = 'a' and trim(both 'x' from 'xax') = 'a'"),
    ("ltrim", "ltrim(' a') = 'a'"),
    ("rtrim", "rtrim('a ') = 'a'"),
    ("substr", "substr(s, 2) = 'bc'"),
    ("substring", "substring(s from 1 for 2) = 'Ab'"),
    ("left", "left(s, 1) = 'A'"),
    ("right", "right(s, 1) = 'c'"),
    ("reverse", "reverse(s) = 'cbA'"),
    ("replace", "replace(s, 'b', 'x') = 'Axc'"),
    ("translate", "translate(s, 'bc', 'xy') = 'Axy'"),
    ("split_part", "split_part('a-b', '-', 2) = 'b'"),
    ("concat", "concat(s, '-', nothing) = 'Abc-'"),
    ("concat_ws", "concat_ws('-', s, 'x') = 'Abc-x'"),
    ("length", "length(s) = 3"),
    ("char_length", "char_length('é') = 1"),
    ("character_length", "character_length(s) = 3"),
    ("octet_length", "octet_length('é') = 2"),
    ("strpos", "strpos(s, 'c') = 3"),
    ("instr", "instr(s, 'x') = 0"),
    ("starts_with", "starts_with(s, 'A')"),
    ("ends_with", "ends_with(s, 'c')"),
    ("contains", "contains(s, 'b')"),
    ("regexp_like", "regexp_like(s, '^A.c$')"),
    ("regexp_replace", "regexp_replace(s, '[a-z]+', '') = 'A'"),
    ("regexp_count", "regexp_count(s, '[a-z]') = 2"),
    ("coalesce", "coalesce(nothing, s) = 'Abc'"),
    ("nvl", "nvl(nothing, 'x') = 'x'"),
    ("ifnull", "ifnull(nothing, 'x') = 'x'"),
    ("nullif", "nullif(s, 'Abc') is null"),
    ("greatest", "greatest(n, 8) = 8"),
    ("least", "least(n, 8, 9) = 7"),
    ("abs", "abs(f) = 2.5 and abs(d) = 1.5"),
    ("round", "round(f) = -3 and round(2.345, 2) > 2.3"),
    ("trunc", "trunc(f) = -2"),
    ("floor", "floor(f) = -3"),
    ("ceil", "ceil(f) = -2"),
    ("ceiling", "ceiling(2.1) = 3"),
    ("signum", "signum(f) = -1"),
    ("isnan", "not isnan(f)"),
    ("date_trunc", "date_trunc('month', ts) = timestamp '2024-02-01 00:00:00'"),
    ("date_part", "date_part('day', ts) = 29"),
    ("extract", "extract(year from ts) = 2024 and extract(doy from day) = 60"),
    ("year", "year(day) = 2024"),
    ("month", "month(day) = 2"),
    ("day", "day(day) = 29"),
    ("hour", "hour(ts) = 12"),
    ("minute", "minute(ts) = 34"),
    ("second", "second(ts) = 56"),
    ("make_date", "make_date(2024, 2, 29) = day"),
    ("to_date", "to_date('2024-02-29') = day"),
    ("to_timestamp", "to_timestamp('2024-02-29T12:34:56.789') = ts"),
    ("to_timestamp_seconds", "to_timestamp_seconds(0) < ts"),
    ("to_timestamp_millis", "to_timestamp_millis(1000) > to_timestamp_seconds(0)"),
    ("to_timestamp_micros", "to_timestamp_micros(1000000) = to_timestamp_seconds(1)"),
    ("from_unixtime", "from_unixtime(1) = to_timestamp_seconds(1)"),
    ("to_unixtime", "to_unixtime(to_timestamp_seconds(5)) = 5"),
    ("if", "if(flag, 1, 2) = 1"),
    ("cardinality", "cardinality(list) = 2 and cardinality(tags) = 1"),
    ("array_has", "array_has(list, 2)"),
    ("array_contains", "array_contains(list, 1)"),
    // Forms without a name.
    ("", "n + 1 - 2 * 3 / 1 % 4 = 6"),
    ("", "s || '-' || 'x' = 'Abc-x'"),
    ("", "n = 7 and n <> 8 and n < 8 and n <= 7 and n > 6 and n >= 7 and -n = -7"),
    ("", "flag or not flag and nothing is null"),
    ("", "(nothing is not distinct from null) and (s is distinct from nothing) and not (nothing <=> s)"),
    ("", "flag is true and flag is not false and (nothing = 'x') is unknown"),
    ("", "n in (1, 7) and n not in (1, 2)"),
    ("", "n between 7 and 8 and n not between 8 and 9"),
    ("", "s like 'A%' and s not like 'a%' and s ilike 'a__' and s rlike 'b'"),
    ("", "case when n > 5 then 'big' else 'small' end = 'big'"),
    ("", "case n when 7 then 'seven' end = 'seven'"),
    ("", "cast(n as string) = '7' and n::double = 7.0 and cast('7' as int) = n and cast('1.5' as decimal(10,2)) = d"),
    ("", "try_cast(s as int) is null and try_cast('9' as smallint) = 9 and cast(1 as tinyint) = 1"),
    ("", "cast(n as float) = 7.0 and cast('true' as boolean) = flag and cast(n as bigint) = n"),
    ("", "cast('2024-02-29' as date) = day and day = date '2024-02-29' and ts > timestamp '2024-02-29 12:00:00'"),
    ("", "cast('0800-01-01 00:00:00' as timestamp) < ts and timestamp '9999-12-31 23:59:59.999999' > ts"),
    ("", "address.City = 'x' and address['city'] = 'x' and tags['lang'] = 'de'"),
    ("", "S = 'it''s' or \"s\" = 'Abc'"),
];

/// The same for checks, over the one row as a table.
const TRUE_OF_TABLE: &[(&str, &str)] = &[
    ("count", "count(*) = 1 and count(nothing) = 0 and count(distinct s) = 1"),
    ("count_if", "count_if(n > 5) = 1 and count_if(nothing is not null) = 0 and count_if(nothing = 'x') = 0"),
    ("sum", "sum(n) = 7 and sum(coalesce(d, 0)) = 1.5"),
    ("min", "min(s) = 'Abc'"),
    ("max", "max(day) between date '2024-01-01' and date '2024-12-31'"),
    ("avg", "avg(n) > 6.5"),
    ("bool_and", "bool_and(flag)"),
    ("bool_or", "not bool_or(n > 7)"),
];

async fn table() -> (SessionContext, RecordBatch) {
    let session = script_session(64 << 20).unwrap();
    let mut batches = session.sql(ROW).await.unwrap().collect().await.unwrap();
    let row = batches.pop().unwrap();
    session.register_batch("t", row.clone()).unwrap();
    (session, row)
}

/// The SQL of an expression over the table's columns, as plans have it.
fn rendered(source: &str, kind: Kind, row: &RecordBatch) -> String {
    let expression = Expression::parse(source, kind).unwrap_or_else(|errors| panic!("{source}: {errors}"));
    let schema = row.schema();
    let columns: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    expression.render(skein_protocol::expr::resolver(&columns)).unwrap()
}

async fn selected(session: &SessionContext, sql: &str) -> Result<bool, String> {
    let text = |error: datafusion::error::DataFusionError| error.strip_backtrace();
    let frame = session.sql(&format!("SELECT {sql} AS value FROM t")).await.map_err(text)?;
    let batches = frame.collect().await.map_err(text)?;
    let values = batches[0].column(0).as_boolean_opt().ok_or("its value is not boolean")?;
    Ok(batches[0].num_rows() == 1 && !values.is_empty() && values.value(0))
}

fn filtered(sql: &str, row: &RecordBatch) -> Result<bool, String> {
    let filter = RowFilter::new("filter", sql, &row.schema()).map_err(|error| error.to_string())?;
    filter.mask(row).map(|mask| mask.value(0)).map_err(|error| error.to_string())
}

#[tokio::test]
async fn every_allowed_function_works_in_statements_and_in_filters() {
    let (session, row) = table().await;
    let mut wrong = Vec::new();
    for (_, source) in TRUE_OF_ROW {
        let sql = rendered(source, Kind::Row, &row);
        for (place, found) in [("statement", selected(&session, &sql).await), ("filter", filtered(&sql, &row))] {
            if found != Ok(true) {
                wrong.push(format!("{place}: {source}\n    {sql}\n    {found:?}"));
            }
        }
    }
    for (_, source) in TRUE_OF_TABLE {
        let sql = rendered(source, Kind::Aggregate, &row);
        let found = selected(&session, &sql).await;
        if found != Ok(true) {
            wrong.push(format!("check: {source}\n    {sql}\n    {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_allowed_function_is_left_untried() {
    let named = |table: &[(&'static str, &str)]| -> BTreeSet<&str> {
        table.iter().map(|(name, _)| *name).filter(|name| !name.is_empty()).collect()
    };
    assert_eq!(named(TRUE_OF_ROW), function_names().collect());
    assert_eq!(named(TRUE_OF_TABLE), aggregate_names().collect());
}

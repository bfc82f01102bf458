use super::*;
use crate::chance::Chance;

fn canonical(source: &str, kind: Kind) -> String {
    Expression::parse(source, kind).unwrap_or_else(|errors| panic!("{source}: {errors}")).to_string()
}

const ROWS: &[(&str, &str)] = &[
    ("a", r#""a""#),
    ("Country <> 'xx' and plays > 0", r#""country" <> 'xx' AND "plays" > 0"#),
    ("a or b and not c", r#""a" OR "b" AND NOT "c""#),
    ("(a or b) and c", r#"("a" OR "b") AND "c""#),
    ("not (a and b)", r#"NOT ("a" AND "b")"#),
    ("not a = 1", r#"NOT ("a" = 1)"#),
    ("a - (b - c) - d", r#""a" - ("b" - "c") - "d""#),
    ("a * (b + c) / -d", r#""a" * ("b" + "c") / -"d""#),
    ("- - 1 = 1", "-(-1) = 1"),
    ("a || b || 'c' = 'x'", r#""a" || "b" || 'c' = 'x'"#),
    ("a || (b || c) = 'x'", r#""a" || ("b" || "c") = 'x'"#),
    ("a == b or a != c or a <=> d", r#""a" = "b" OR "a" <> "c" OR ("a" IS NOT DISTINCT FROM "d")"#),
    ("(a = b) = (c = d)", r#"("a" = "b") = ("c" = "d")"#),
    ("a is null is not true", r#"("a" IS NULL) IS NOT TRUE"#),
    ("a is not null and b is false and c is unknown", r#""a" IS NOT NULL AND "b" IS FALSE AND "c" IS UNKNOWN"#),
    ("a is distinct from b", r#""a" IS DISTINCT FROM "b""#),
    (
        "(a is distinct from -b) and a <=> c and d",
        r#"("a" IS DISTINCT FROM -"b") AND ("a" IS NOT DISTINCT FROM "c") AND "d""#,
    ),
    ("c and a is not distinct from b + 1", r#""c" AND ("a" IS NOT DISTINCT FROM "b" + 1)"#),
    ("a <=> b is null", r#"("a" IS NOT DISTINCT FROM "b") IS NULL"#),
    ("a in (1, 2, 3) and b not in ('x')", r#""a" IN (1, 2, 3) AND "b" NOT IN ('x')"#),
    ("a between 1 and 2 and b not between c and d", r#""a" BETWEEN 1 AND 2 AND "b" NOT BETWEEN "c" AND "d""#),
    ("a like 'x%' and b not like '%y' and c ilike 'Z'", r#""a" LIKE 'x%' AND "b" NOT LIKE '%y' AND "c" ILIKE 'Z'"#),
    ("a rlike '^x' and b not rlike 'y'", r#"regexp_like("a", '^x') AND NOT regexp_like("b", 'y')"#),
    ("case when a then 1 else 2 end = 1", r#"CASE WHEN "a" THEN 1 ELSE 2 END = 1"#),
    ("case a when 1 then 'x' end is null", r#"CASE "a" WHEN 1 THEN 'x' END IS NULL"#),
    ("if(a > 1, b, c)", r#"CASE WHEN "a" > 1 THEN "b" ELSE "c" END"#),
    ("cast(a as string) = '1'", r#"CAST("a" AS VARCHAR) = '1'"#),
    ("try_cast(a as decimal(10,2)) is null", r#"TRY_CAST("a" AS DECIMAL(10,2)) IS NULL"#),
    ("a::int > 3", r#"CAST("a" AS INT) > 3"#),
    (
        "cast(a as timestamp) < timestamp '2024-01-01 00:00:00'",
        r#"CAST("a" AS TIMESTAMP(6)) < CAST('2024-01-01 00:00:00' AS TIMESTAMP(6))"#,
    ),
    ("d >= date '2024-01-01'", r#""d" >= CAST('2024-01-01' AS DATE)"#),
    (
        "extract(year from d) = 2024 and month(d) = 1",
        r#"date_part('year', "d") = 2024 AND date_part('month', "d") = 1"#,
    ),
    ("date_trunc('DAY', ts) = ts", r#"date_trunc('day', "ts") = "ts""#),
    ("trim(a) = '' and trim(leading 'x' from b) = ltrim(c)", r#"btrim("a") = '' AND ltrim("b", 'x') = ltrim("c")"#),
    ("substring(a from 2 for 3) = substr(b, 1)", r#"substr("a", 2, 3) = substr("b", 1)"#),
    ("ceil(a) = floor(b)", r#"ceil("a") = floor("b")"#),
    ("nvl(a, b) = ifnull(c, 0)", r#"coalesce("a", "b") = coalesce("c", 0)"#),
    ("address.City = 'x' and tags['Lang'] = 'de'", r#""address"['city'] = 'x' AND "tags"['Lang'] = 'de'"#),
    ("s.a['k'].b = 1", r#""s"['a']['k']['b'] = 1"#),
    ("\"Odd \"\"name\" = `other one`", r#""odd ""name" = "other one""#),
    ("a = 'it''s'", "\"a\" = 'it''s'"),
    ("1e5 + .5 > a", r#"1e5 + .5 > "a""#),
    ("a /* why */ = -- because\n 1", r#""a" = 1"#),
    ("true and null is null", "TRUE AND NULL IS NULL"),
    ("regexp_replace(a, 'x+', '') = concat(b, 'y', c)", r#"regexp_replace("a", 'x+', '') = concat("b", 'y', "c")"#),
    ("a % 2 = 0", r#""a" % 2 = 0"#),
];

const AGGREGATES: &[(&str, &str)] = &[
    ("count_if(playlist_id is null) = 0", r#"count(CASE WHEN "playlist_id" IS NULL THEN 1 END) = 0"#),
    ("count(*) > 0 and count(a) = count(distinct b)", r#"count(*) > 0 AND count("a") = count(DISTINCT "b")"#),
    ("sum(a) between min(b) and max(c)", r#"sum("a") BETWEEN min("b") AND max("c")"#),
    ("bool_and(a) and not bool_or(b > 1)", r#"bool_and("a") AND NOT bool_or("b" > 1)"#),
    ("avg(abs(a)) < 3", r#"avg(abs("a")) < 3"#),
    ("COUNT_IF(a) * 100 <= count(*)", r#"count(CASE WHEN "a" THEN 1 END) * 100 <= count(*)"#),
];

#[test]
fn expressions_have_one_canonical_form() {
    for (kind, table) in [(Kind::Row, ROWS), (Kind::Aggregate, AGGREGATES)] {
        for (source, expected) in table {
            assert_eq!(canonical(source, kind), *expected, "{source}");
            assert_eq!(canonical(expected, kind), *expected, "the canonical form of {source} is not its own");
        }
    }
}

#[test]
fn what_is_not_allowed_is_refused_at_its_place() {
    let row = Kind::Row;
    #[allow(clippy::type_complexity, reason = "a table of cases: text, kind, errors")]
    let table: &[(&str, Kind, &[(u32, u32, &str)])] = &[
        ("", row, &[(1, 1, "empty")]),
        ("a =", row, &[(1, 4, "Expected: an expression, found: the end")]),
        ("a = 1 b", row, &[(1, 7, "should end before `b`")]),
        ("a = 1;", row, &[(1, 6, "one expression")]),
        ("a = 'x", row, &[(1, 5, "Unterminated")]),
        ("a = $1", row, &[(1, 5, "placeholder")]),
        ("a = ?", row, &[(1, 5, "placeholder")]),
        ("a in (select b)", row, &[(1, 7, "subqueries")]),
        ("exists (select 1)", row, &[(1, 1, "subqueries")]),
        ("now() > ts", row, &[(1, 1, "another value at each run")]),
        ("a = 1 and\n  ts < current_timestamp", row, &[(2, 8, "another value at each run")]),
        ("random() < 0.1 and uuid() = 'x'", row, &[(1, 1, "`random`"), (1, 20, "`uuid`")]),
        ("lowr(a) = uper(b)", row, &[(1, 1, "`lowr`"), (1, 11, "`uper`")]),
        ("md5(a) = 'x'", row, &[(1, 1, "not on the list")]),
        ("a.f(b)", row, &[(1, 1, "not on the list")]),
        ("lower(a, b) = 'x'", row, &[(1, 1, "takes 1 argument, not 2")]),
        ("substr(a) = 'x'", row, &[]),
        ("replace(a) = 'x'", row, &[(1, 1, "takes 3 arguments, not 1")]),
        ("count(*) > 0", row, &[(1, 1, "aggregates are for checks")]),
        ("sum(a) over (partition by b) > 1", row, &[(1, 1, "OVER")]),
        ("a[1] = 2", row, &[(1, 1, "brackets hold a text")]),
        ("interval '1' day < a", row, &[(1, 10, "intervals")]),
        ("a = x'ff'", row, &[(1, 5, "literal")]),
        ("a is distinct from b and c", row, &[(1, 20, "different ways")]),
        ("a is not distinct from b = c", row, &[(1, 24, "different ways")]),
        ("a like 'x' escape '!'", row, &[(1, 1, "no ESCAPE")]),
        ("cast(a as blob) = 'x'", row, &[(1, 6, "nothing can be cast")]),
        ("cast(a as varchar(3)) = 'x'", row, &[(1, 6, "nothing can be cast")]),
        ("date 5 = a", row, &[(1, 6, "a text in single quotes")]),
        ("a & 1 = 1", row, &[(1, 1, "operator `&`")]),
        (
            "1 and 'x' or a + 1",
            row,
            &[(1, 1, "AND takes a truth value"), (1, 7, "AND takes a truth value"), (1, 14, "OR takes a truth value")],
        ),
        ("not 1", row, &[(1, 5, "NOT takes a truth value")]),
        ("case when 1 then 2 end = 2", row, &[(1, 11, "WHEN takes a truth value")]),
        ("date_trunc('fortnight', a) = b", row, &[(1, 12, "a unit of time")]),
        ("date_trunc(b, a) = b", row, &[(1, 12, "a unit of time")]),
        ("position('a' in b) = 1", row, &[(1, 1, "`position`")]),
        ("array[1,2] = a", row, &[(1, 1, "cannot be made")]),
        ("{a: 1} = b", row, &[(1, 1, "`{` is not allowed")]),
        ("a collate x = 'b'", row, &[(1, 1, "is not allowed")]),
        ("(1, 2) = a", row, &[(1, 2, "is not allowed")]),
        ("playlist_id is null", Kind::Aggregate, &[(1, 1, "outside of an aggregate")]),
        ("1 = 1", Kind::Aggregate, &[(1, 1, "no aggregate")]),
        ("sum(a) > b", Kind::Aggregate, &[(1, 10, "column `b` stands outside")]),
        ("sum(count(a)) > 0", Kind::Aggregate, &[(1, 5, "within an aggregate")]),
        ("sum(*) > 0", Kind::Aggregate, &[(1, 1, "takes one argument")]),
        ("count_if(1) = 0", Kind::Aggregate, &[(1, 10, "takes a truth value")]),
        ("sum(distinct a) > 0", Kind::Aggregate, &[(1, 1, "DISTINCT is for count")]),
        ("count(*) filter (where a) > 0", Kind::Aggregate, &[(1, 1, "FILTER")]),
    ];
    for (source, kind, expected) in table {
        let found = match Expression::parse(source, *kind) {
            Ok(_) => Vec::new(),
            Err(errors) => errors.0,
        };
        let places: Vec<_> = found.iter().map(|error| (error.line, error.column)).collect();
        let wanted: Vec<_> = expected.iter().map(|(line, column, _)| (*line, *column)).collect();
        assert_eq!(places, wanted, "{source}: {found:?}");
        for (error, (_, _, text)) in found.iter().zip(*expected) {
            assert!(error.message.contains(text), "{source}: {error:?} does not say {text:?}");
        }
    }
}

#[test]
fn slips_in_function_names_get_a_suggestion() {
    let errors = Expression::parse("lowr(a) = 'x'", Kind::Row).unwrap_err();
    assert_eq!(errors.0[0].hint.as_deref(), Some("did you mean `lower`?"));
}

#[test]
fn columns_are_listed_once_in_order() {
    let expression = Expression::parse("B = 1 and a > b and lower(C) = a", Kind::Row).unwrap();
    let columns: Vec<_> =
        expression.columns().into_iter().map(|column| (column.name.as_str(), column.column)).collect();
    assert_eq!(columns, [("B", 1), ("a", 11), ("C", 27)]);
}

#[test]
fn names_are_resolved_without_regard_to_case_and_unknown_ones_are_reported() {
    let expression = Expression::parse("PLAYS > 0 and exact = 1 and nope = 2 and Nope = 3", Kind::Row).unwrap();
    let columns = ["Plays", "exact", "EXACT", "nope\"x"];
    assert_eq!(expression.render(resolver(&columns)), Err(UnknownColumns(vec!["nope".into(), "Nope".into()])));
    let expression = Expression::parse("PLAYS > 0 and exact = 1 and `nope\"x` = 2", Kind::Row).unwrap();
    assert_eq!(expression.render(resolver(&columns)).unwrap(), r#""Plays" > 0 AND "exact" = 1 AND "nope""x" = 2"#);
}

#[test]
fn an_expression_survives_json_as_its_source() {
    for (source, kind) in [("A  >  0", Kind::Row), ("count(*)>0", Kind::Aggregate), ("1 = 1", Kind::Row)] {
        let expression = Expression::parse(source, kind).unwrap();
        let json = serde_json::to_string(&expression).unwrap();
        assert_eq!(json, format!("{source:?}"));
        let back: Expression = serde_json::from_str(&json).unwrap();
        assert_eq!((back.kind(), &back), (kind, &expression));
    }
    assert!(serde_json::from_str::<Expression>("\"now()\"").is_err());
}

#[test]
fn shapes_tell_conditions_from_values() {
    for (source, boolean) in [
        ("a", true),
        ("a + 1", false),
        ("coalesce(a, false)", true),
        ("coalesce(a, 1)", false),
        ("case when a then b else 'x' end", false),
        ("lower(a)", false),
        ("cast(a as boolean)", true),
        ("date '2024-01-01'", false),
        ("null", true),
    ] {
        assert_eq!(Expression::parse(source, Kind::Row).unwrap().may_be_boolean(), boolean, "{source}");
    }
    assert!(!Expression::parse("count(*)", Kind::Aggregate).unwrap().may_be_boolean());
}

#[test]
fn expressions_are_bounded_in_length_and_depth() {
    let refused = |source: &str| Expression::parse(source, Kind::Row).is_err();
    assert!(refused(&format!("a = '{}'", "x".repeat(MAX_EXPRESSION_CHARS))));
    assert!(!refused(&format!("{}a = 1{}", "(".repeat(MAX_BRACKET_DEPTH), ")".repeat(MAX_BRACKET_DEPTH))));
    assert!(refused(&format!("{}a = 1{}", "(".repeat(MAX_BRACKET_DEPTH + 1), ")".repeat(MAX_BRACKET_DEPTH + 1))));
    let chain = |terms: usize| vec!["a=1"; terms].join(" or ");
    assert!(!refused(&chain(MAX_TREE_DEPTH - 2)));
    assert!(refused(&chain(MAX_TREE_DEPTH + 2)));
    assert!(refused(&"not ".repeat(900)) && refused(&"- ".repeat(1_900)) && refused(&"case when ".repeat(390)));
    let slow = format!("{}1 +", "cast(substring(try_cast(array(".repeat(3));
    assert!(refused(&slow));
}

#[test]
fn broken_texts_are_refused_and_never_panic() {
    let mut random = Chance(0x5eed);
    let pieces = [
        "(", ")", "[", "]", ",", "'", "\"", "`", "::", "case", "when", "then", "end", "cast", "as", "int", "a", "b.c",
        "1", ".5", "--", "/*", "*/", "count", "*", "distinct", "not", "is", "null", "between", "and", "or", "in",
        "like", "date", "extract", "year", "from", "trim", "interval", "\n", "é", "𝄞", "$1", "?", "||", "<=>", "+",
        "-", "lower", "sum", "x'ff'", "e'\\'", "{", "}", "over", "filter", "struct", "map", "decimal(", "<", ">",
    ];
    for _ in 0..3_000 {
        let length = random.place(24) + 1;
        let text: Vec<&str> = (0..length).map(|_| pieces[random.place(pieces.len())]).collect();
        let text = text.join(if random.place(2) == 0 { " " } else { "" });
        for kind in [Kind::Row, Kind::Aggregate] {
            match Expression::parse(&text, kind) {
                Ok(expression) => {
                    let shown = expression.to_string();
                    let again = Expression::parse(&shown, kind)
                        .unwrap_or_else(|errors| panic!("{text:?} became {shown:?}: {errors}"));
                    assert_eq!(again.to_string(), shown, "{text:?}");
                }
                Err(errors) => assert!(errors.0.iter().all(|error| error.line > 0 && error.column > 0), "{text:?}"),
            }
        }
    }
}

#[test]
fn random_expressions_keep_their_meaning_in_the_canonical_form() {
    let mut random = Chance(7);
    for _ in 0..2_000 {
        let source = expression(&mut random, 5);
        let Ok(expression) = Expression::parse(&source, Kind::Row) else { continue };
        let shown = expression.to_string();
        let again =
            Expression::parse(&shown, Kind::Row).unwrap_or_else(|errors| panic!("{source} became {shown}: {errors}"));
        // Trees are compared, not texts: brackets that are missing or too many change the tree.
        let plain = |expression: &Expression| {
            let text = format!("{:?}", expression.tree);
            let places = text.split("line: ").map(|part| part.split_once('}').map_or(part, |(_, rest)| rest));
            places.collect::<Vec<_>>().join("")
        };
        assert_eq!(plain(&again), plain(&expression), "{source} became {shown}");
    }
}

/// An expression as deep as that.
fn expression(random: &mut Chance, depth: usize) -> String {
    if depth == 0 {
        return ["a", "b", "1", "'x'", "true", "null"][random.place(6)].to_owned();
    }
    let one = expression(random, depth - 1);
    let two = expression(random, depth - 1);
    match random.place(22) {
        0 => format!("({one}) and ({two})"),
        1 => format!("({one}) or ({two})"),
        2 => format!("not ({one})"),
        3 => format!("({one}) = ({two})"),
        4 => format!("({one}) + ({two})"),
        5 => format!("({one}) * ({two})"),
        6 => format!("({one}) || ({two})"),
        7 => format!("-({one})"),
        8 => format!("({one}) is not null"),
        9 => format!("({one}) between ({two}) and (1)"),
        10 => format!("({one}) in (({two}), 2)"),
        11 => format!("({one}) like ({two})"),
        12 => format!("{one} - {two}"),
        13 => format!("({one}) is distinct from ({two})"),
        14 => format!("({one}) <=> ({two})"),
        15 => format!("({one}) not rlike ({two})"),
        16 => format!("({one}) not in (({two}))"),
        17 => format!("({one}) not between (1) and ({two})"),
        18 => format!("({one}) is not true"),
        19 => format!("cast(({one}) as string)"),
        20 => format!("lower({one}) < ({two})"),
        _ => format!("case when ({one}) is null then ({two}) end"),
    }
}

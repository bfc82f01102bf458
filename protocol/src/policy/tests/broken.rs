//! Broken documents and the exact list of what is said about them.

use super::minimal;
use crate::policy::{PolicyError, parse};

/// What is said of a marked document: it is taken without its marks.
fn said(marked: &str) -> Vec<PolicyError> {
    parse(&marked.replace('‸', "")).err().unwrap_or_default()
}

/// The places of the marks `‸`, as if they were not there: `line:column`.
fn marks(marked: &str) -> Vec<String> {
    let (mut line, mut column) = (1, 1);
    let mut found = Vec::new();
    for c in marked.chars() {
        match c {
            '‸' => found.push(format!("{line}:{column}")),
            '\n' => (line, column) = (line + 1, 1),
            _ => column += 1,
        }
    }
    found
}

/// Each error has the code that is expected and stands where the document is marked, in the order of the text.
fn check_document(marked: &str, codes: &[&str]) {
    let errors = said(marked);
    let expected: Vec<String> =
        marks(marked).into_iter().zip(codes).map(|(place, code)| format!("{place} POLICY_{code}")).collect();
    let found: Vec<String> =
        errors.iter().map(|error| format!("{}:{} {}", error.line, error.column, error.code)).collect();
    assert_eq!(marks(marked).len(), codes.len(), "{marked}");
    assert_eq!(found, expected, "{marked}\n{errors:#?}");
}

/// The same for what stands in `spec`.
fn check(table: &[(&str, &[&str])]) {
    for (spec, codes) in table {
        check_document(&minimal(spec), codes);
    }
}

#[test]
fn whole_documents_that_cannot_be_read() {
    for (text, expected) in [
        ("", "1:1 the document is empty"),
        ("# nothing\n", "1:1 the document is empty"),
        ("a: b: c", "1:5 mapping values are not allowed in this context"),
        ("a:\n\t- b", "2:2 tabs disallowed within this context (block indentation)"),
        ("a: 1\n---\nb: 2", "2:1 a second document begins"),
        ("a: *x", "1:4 while parsing node, found unknown anchor"),
        ("a: &x [*x]", "1:8 the alias stands within what it stands for"),
        ("a: !secret x", "1:12 the tag `!secret` is not allowed"),
        ("[a]: b", "1:1 a key must be a text"),
        ("a: \u{0}b", "1:4 the character U+0000 is not allowed"),
    ] {
        let errors = parse(text).unwrap_err();
        let [error] = errors.as_slice() else { panic!("{text:?}: {errors:?}") };
        assert_eq!(format!("{}:{} {}", error.line, error.column, error.message), expected, "{text:?}");
        assert_eq!(error.code.as_str(), "POLICY_SYNTAX");
    }
}

#[test]
fn a_document_of_another_kind_is_told_what_is_missing() {
    let errors = parse("apiVersion: skein/v2\nkind: MigrationPlan\nmetadata: []\nspecs: {}\n").unwrap_err();
    let said: Vec<_> = errors.iter().map(|e| format!("{} {}:{} {}", e.code, e.line, e.column, e.path)).collect();
    assert_eq!(
        said,
        [
            "POLICY_MISSING_KEY 1:1 spec",
            "POLICY_UNKNOWN_VALUE 1:13 apiVersion",
            "POLICY_UNKNOWN_VALUE 2:7 kind",
            "POLICY_WRONG_TYPE 3:11 metadata",
            "POLICY_UNKNOWN_KEY 4:1 specs",
        ]
    );
    let hints: Vec<_> = errors.iter().filter_map(|error| error.hint.as_deref()).collect();
    assert_eq!(
        hints,
        [
            "did you mean `skein/v1`? one of: skein/v1",
            "did you mean `MigrationPolicy`? one of: MigrationPolicy",
            "did you mean `spec`?"
        ]
    );
    assert_eq!(parse("just a text").unwrap_err()[0].code.as_str(), "POLICY_WRONG_TYPE");
}

#[test]
fn keys_values_and_kinds() {
    check(&[
        ("  ‸stratgy: auto\n", &["UNKNOWN_KEY"]),
        ("  run: { ‸before: [x], priority: ‸101 }\n", &["UNKNOWN_KEY", "OUT_OF_RANGE"]),
        ("  run: { after: [x, ‸X, ‸x, ‸1] }\n", &["BAD_NAME", "DUPLICATE", "WRONG_TYPE"]),
        ("  run: { after: ‸x }\n", &["WRONG_TYPE"]),
        ("  run: { after: [a, ‸p] }\n", &["CONTRADICTION"]),
        ("  strategy: auto\n  ‸strategy: copy\n", &["DUPLICATE"]),
        ("  strategy: ‸fast\n", &["UNKNOWN_VALUE"]),
        ("  strategy: ‸[auto]\n", &["WRONG_TYPE"]),
        ("  strategy: ‸1\n", &["WRONG_TYPE"]),
        ("  strategy:\n", &[]),
        ("  approval: { required: ‸yes, by: ‸me }\n", &["WRONG_TYPE", "UNKNOWN_VALUE"]),
        ("  approval: ‸owner\n", &["WRONG_TYPE"]),
        (
            "  run: { attempts: ‸0, maxParallel: ‸many, memory: ‸512 }\n",
            &["OUT_OF_RANGE", "WRONG_TYPE", "OUT_OF_RANGE"],
        ),
        ("  run: { attempts: ‸99999999999999999999 }\n", &["OUT_OF_RANGE"]),
        ("  run: { attempts: ‸1.5 }\n", &["WRONG_TYPE"]),
        ("  validate: { eachBatch: [count, ‸count], final: ‸[checksum] }\n", &["DUPLICATE", "OUT_OF_RANGE"]),
        (
            "  validate: { eachBatch: [‸counts, count, checksum], final: [‸1, ‸2, count] }\n",
            &["UNKNOWN_VALUE", "WRONG_TYPE", "WRONG_TYPE"],
        ),
        ("  validate: { final: ‸[] }\n", &["OUT_OF_RANGE"]),
        ("  validate: { eachBatch: ‸count }\n", &["WRONG_TYPE"]),
        ("  validate: { onDifference: ‸ignore }\n", &["UNKNOWN_VALUE"]),
        (
            "  validate: { tolerances: { removedRowsPercent: ‸101, filteredRowsPercent: ‸\"5\" } }\n",
            &["OUT_OF_RANGE", "WRONG_TYPE"],
        ),
        (
            "  clean: [{ dropDuplicates: ‸all }, { keepOne: { key: ‸[], orderBy: [] } }]\n",
            &["UNKNOWN_VALUE", "OUT_OF_RANGE"],
        ),
        ("  clean: [‸{}, { ‸dropDuplicate: exact }, ‸exact]\n", &["MISSING_KEY", "UNKNOWN_KEY", "WRONG_TYPE"]),
        ("  clean: [{ keepOne: ‸{ key: [a, ‸a] } }]\n", &["MISSING_KEY", "DUPLICATE"]),
        ("  ‸<<: { strategy: copy }\n", &["UNKNOWN_KEY"]),
        (
            "  schema: { drop: [‸1, ‸{ ‸colum: x }, ‸\" a\"] }\n",
            &["WRONG_TYPE", "MISSING_KEY", "UNKNOWN_KEY", "BAD_NAME"],
        ),
    ]);
}

#[test]
fn names_selections_and_targets() {
    let document = r#"apiVersion: skein/v1
kind: MigrationPolicy
metadata:
  name: ‸Play_Lists
  owner: ‸''
  labels: { wave: ‸3, ‸'a b': x }
  description: ‸7
spec:
  source:
    connection: ‸Legacy
    include: [‸"*", ‸a.b.c, ‸"{a,b}.*", ok.*, ‸ok.*]
    exclude: ‸x.*
  target:
    ‸connection:
    name: ‸"{database}.{tabel}"
    partitioning: ‸daily
"#;
    let codes = [
        "BAD_NAME",
        "BAD_NAME",
        "WRONG_TYPE",
        "BAD_NAME",
        "WRONG_TYPE",
        "BAD_NAME",
        "BAD_GLOB",
        "BAD_GLOB",
        "BAD_GLOB",
        "DUPLICATE",
        "WRONG_TYPE",
        "MISSING_KEY",
        "BAD_TEMPLATE",
        "UNKNOWN_VALUE",
    ];
    check_document(document, &codes);
    let errors = said(document);
    let paths: Vec<_> = errors.iter().map(|error| error.path.as_str()).collect();
    for path in ["metadata.labels.wave", "metadata.labels[\"a b\"]", "spec.source.include[4]", "spec.target.connection"]
    {
        assert!(paths.contains(&path), "{paths:?}");
    }
    let hints: Vec<_> = errors.iter().filter_map(|error| error.hint.as_deref()).collect();
    for hint in ["for example `play-lists`", "put it in quotes: \"3\"", "for everything: \"*.*\"", "write {table}"] {
        assert!(hints.contains(&hint), "{hints:?}");
    }
}

#[test]
fn settings_of_targets() {
    for (target, codes) in [
        ("formatVersion: ‸1", &["OUT_OF_RANGE"][..]),
        ("formatVersion: 3, fileSize: 64MiB, zstdLevel: 9, tableProperties: { gc.enabled: \"false\" }", &[]),
        ("formatVersion: ‸4, fileSize: ‸64, zstdLevel: ‸0", &["OUT_OF_RANGE", "OUT_OF_RANGE", "OUT_OF_RANGE"]),
        ("formatVersion: ‸\"3\", fileSize: ‸10KiB, zstdLevel: ‸23", &["WRONG_TYPE", "OUT_OF_RANGE", "OUT_OF_RANGE"]),
        ("tableProperties: ‸[a]", &["WRONG_TYPE"]),
        ("sortBy: [{ column: a, direction: desc, nulls: first }, { column: ‸A }]", &["CONTRADICTION"]),
        ("sortBy: [‸a, { column: b, direction: ‸down }]", &["WRONG_TYPE", "UNKNOWN_VALUE"]),
        (
            "tableProperties: { a: ‸1, ‸b c: x, ‸skein.run: x, c: ‸\"x\\ty\" }",
            &["WRONG_TYPE", "BAD_NAME", "BAD_NAME", "OUT_OF_RANGE"],
        ),
        (
            "tableProperties: { ‸write.target-file-size-bytes: x, ‸Metadata_Location: x, ‸format-version: x }",
            &["BAD_NAME", "BAD_NAME", "BAD_NAME"],
        ),
    ] {
        check_document(&minimal("").replace("connection: lake", &format!("connection: lake, {target}")), codes);
    }
    let taken = minimal("")
        .replace("connection: lake", "connection: lake, tableProperties: { write.target-file-size-bytes: x }");
    assert_eq!(said(&taken)[0].hint.as_deref(), Some("say it as fileSize"));
}

#[test]
fn types_and_defaults() {
    check(&[
        ("  schema: { add: [{ name: x, type: ‸strng }] }\n", &["BAD_TYPE"]),
        (
            "  schema: { add: [{ name: x, type: ‸tinyint }, { name: y, type: ‸varchar(3) }] }\n",
            &["BAD_TYPE", "BAD_TYPE"],
        ),
        ("  schema: { add: [{ name: x, type: ‸decimal(18,‸4) }] }\n", &["BAD_TYPE", "UNKNOWN_KEY"]),
        ("  schema: { add: [‸{ type: int }, ‸{ name: y }] }\n", &["MISSING_KEY", "MISSING_KEY"]),
        ("  schema: { add: [{ name: x, type: string, default: ‸3 }] }\n", &["BAD_DEFAULT"]),
        ("  schema: { add: [{ name: x, type: int, default: ‸3000000000 }] }\n", &["BAD_DEFAULT"]),
        ("  schema: { add: [{ name: x, type: date, default: ‸2024-02-30 }] }\n", &["BAD_DEFAULT"]),
        ("  schema: { add: [{ name: x, type: boolean, default: ‸yes }] }\n", &["BAD_DEFAULT"]),
        ("  schema: { add: [{ name: x, type: array<int>, default: ‸[] }] }\n", &["WRONG_TYPE"]),
        ("  schema: { add: [{ name: x, type: int, default: null }] }\n", &[]),
        (
            "  schema: { cast: [{ column: x, type: ‸array<int> }, { column: y, type: ‸smallint }] }\n",
            &["BAD_TYPE", "BAD_TYPE"],
        ),
        (
            "  schema: { types: { char: ‸trimmed, tinyint: ‸long, ‸varchar: x } }\n",
            &["UNKNOWN_VALUE", "UNKNOWN_VALUE", "UNKNOWN_KEY"],
        ),
    ]);
}

#[test]
fn expressions_are_placed_at_their_characters() {
    check(&[
        ("  filter: a = 1 and ‸now() > b\n", &["BAD_EXPRESSION"]),
        ("  filter: 'a = ''x'' and ‸now() > b'\n", &["BAD_EXPRESSION"]),
        ("  filter: \"a = '\\u00e9' and ‸now() > b\"\n", &["BAD_EXPRESSION"]),
        ("  filter: |\n    a = 1\n    and ‸now() > b\n", &["BAD_EXPRESSION"]),
        ("  filter: >\n    a = 1\n    and\n      ‸now() > b\n", &["BAD_EXPRESSION"]),
        ("  filter: a = 1\n    and ‸now() > b\n", &["BAD_EXPRESSION"]),
        ("  filter: a +‸\n", &["BAD_EXPRESSION"]),
        ("  filter: ‸a + 1\n", &["BAD_EXPRESSION"]),
        ("  filter: ‸true\n", &["WRONG_TYPE"]),
        (
            "  validate: { checks: [{ sql: ‸count(*) }, { sql: ‸a = 1 }, ‸{}] }\n",
            &["BAD_EXPRESSION", "BAD_EXPRESSION", "MISSING_KEY"],
        ),
        (
            "  validate: { checks: [{ sql: \"count_if(‸lowr(a) = 'x') = sum(b) + ‸c\" }] }\n",
            &["BAD_EXPRESSION", "BAD_EXPRESSION"],
        ),
    ]);
}

#[test]
fn contradictions_are_placed_at_the_second_of_the_two() {
    let table = [
        "  schema: { add: [{ name: x, type: int }, { name: ‸X, type: int }] }\n",
        "  schema: { add: [{ name: ‸x, type: int }], drop: [X] }\n",
        "  schema: { add: [{ name: x, type: int }], rename: [{ from: ‸x, to: y }] }\n",
        "  schema: { add: [{ name: x, type: int }], rename: [{ from: y, to: ‸X }] }\n",
        "  schema: { add: [{ name: x, type: int }], cast: [{ column: ‸x, type: int }] }\n",
        "  schema: { rename: [{ from: ‸x, to: y }], drop: [x] }\n",
        "  schema: { rename: [{ from: x, to: y }, { from: z, to: ‸Y }] }\n",
        "  schema: { rename: [{ from: x, to: y }, { from: ‸X, to: z }] }\n",
        "  schema: { rename: [{ from: x, to: ‸x }] }\n",
        "  schema: { rename: [{ from: x, to: y }, { from: y, to: x }], drop: [z] }\n",
        "  schema: { rename: [{ from: x, to: z }], drop: [z] }\n",
        "  schema: { cast: [{ column: ‸x, type: int }], drop: [x, ‸x] }\n",
        "  schema: { cast: [{ column: x, type: int }, { column: ‸X, type: bigint }] }\n",
        "  schema: { cast: [{ column: ‸y, type: int }], rename: [{ from: x, to: y }] }\n",
        "  clean: [{ dropDuplicates: exact }, { dropDuplicates: ‸exact }]\n",
        "  clean: [‸{ dropDuplicates: exact, keepOne: { key: [a], orderBy: [] } }]\n",
        "  clean: [{ keepOne: { key: [a, ‸A], orderBy: [] } }]\n",
        "  clean: [{ keepOne: { key: [a], orderBy: [{ column: ‸a }, { column: b }, { column: ‸B }] } }]\n",
        "  clean: [{ keepOne: { key: [a], orderBy: [] } }, { keepOne: { key: ‸[b, A], orderBy: [] } }]\n",
        "  clean: [{ keepOne: { key: [‸n], orderBy: [] } }]\n  schema: { add: [{ name: n, type: int }] }\n",
        "  filter: x > 0 and ‸N < 5\n  schema: { add: [{ name: n, type: int }] }\n",
        "  filter: n > 0\n  schema: { add: [{ name: n, type: int, ifExists: skip }] }\n",
        "  validate: { checks: [{ sql: count(‸x) > 0 }, { sql: count(‸y) > 0 }] }\n  schema: { drop: [x], rename: [{ from: y, to: z }] }\n",
        "  validate: { checks: [{ name: a, sql: count(*) > 0 }, { name: ‸a, sql: count(*) > 1 }] }\n",
        "  strategy: ‸copy\n  filter: a > 0\n  clean: [{ dropDuplicates: exact }]\n  schema: { drop: [x], types: { char: trim } }\n",
        "  strategy: copy\n  schema: { types: { timestamp: timestamptz } }\n",
    ];
    for spec in table {
        check_document(&minimal(spec), &vec!["CONTRADICTION"; marks(spec).len()]);
    }
    let errors = said(&minimal(table[table.len() - 2]));
    assert!(errors[0].message.contains("`filter`, `clean`, `schema.drop`, `schema.types.char`"), "{}", errors[0]);
}

#[test]
fn selections_that_contradict_their_target() {
    let c = "CONTRADICTION";
    for (source, target, codes) in [
        ("include: [a.*]", "name: ‸lake.all", vec![c]),
        ("include: [a.b, a.c]", "name: ‸\"lake.{database}\"", vec![c]),
        ("include: [a.b]", "name: lake.all", vec![]),
        ("include: [a.b, c.*], exclude: ‸[x.*, \"*.*\"]", "name: \"x.{table}\"", vec![c]),
        ("include: [a.b, c.*], exclude: [c.*]", "name: \"x.{table}\"", vec![]),
        ("include: ‸[]", "name: lake.all", vec!["OUT_OF_RANGE"]),
        ("include: [‸1], exclude: [‸2]", "name: lake.all", vec!["WRONG_TYPE"; 2]),
        ("include: [‸\"a\"]", "name: lake.all", vec!["BAD_GLOB"]),
        ("include: [a.b]", "partitioning: [{ column: d, transform: day }, { column: ‸D, transform: hour }]", vec![c]),
        (
            "include: [a.b]",
            "partitioning: [{ column: d, transform: \"bucket[4]\" }, { column: ‸d, transform: \"bucket[8]\" }]",
            vec![c],
        ),
        (
            "include: [a.b]",
            "partitioning: [{ column: d, transform: \"bucket[4]\" }, { column: d, transform: \"bucket[8]\", name: b8 }]",
            vec![],
        ),
        (
            "include: [a.b]",
            "partitioning: [{ column: d, transform: ‸\"bucket[0]\" }, { column: e, transform: ‸days }]",
            vec!["BAD_TRANSFORM"; 2],
        ),
        ("include: [a.b]", "partitioning: ‸[]", vec!["OUT_OF_RANGE"]),
    ] {
        let document = format!(
            "apiVersion: skein/v1\nkind: MigrationPolicy\nmetadata: {{ name: p, owner: team }}\nspec:\n  source: {{ connection: l, {source} }}\n  target: {{ connection: l, {target} }}\n"
        );
        check_document(&document, &codes);
    }
}

#[test]
fn a_partition_by_a_column_that_is_gone_is_refused() {
    for (schema, expected) in [
        ("drop: [d]", Some("column `d` is dropped")),
        ("rename: [{ from: d, to: e }]", Some("column `d` is renamed, and this is about the target")),
        ("drop: [d], rename: [{ from: e, to: d }]", None),
        ("add: [{ name: d, type: date }]", None),
    ] {
        let text = format!(
            "apiVersion: skein/v1\nkind: MigrationPolicy\nmetadata: {{ name: p, owner: team }}\nspec:\n  source: {{ connection: l, include: [a.*] }}\n  target: {{ connection: l, partitioning: [{{ column: D }}] }}\n  schema: {{ {schema} }}\n"
        );
        let message = parse(&text).err().map(|errors| errors[0].message.to_lowercase());
        assert_eq!(message.as_deref(), expected, "{schema}");
    }
}

#[test]
fn what_is_broken_already_is_not_called_a_contradiction() {
    check(&[
        (
            "  schema: { add: [‸{ type: int }, ‸{ type: int }], drop: [‸\"\"] }\n",
            &["MISSING_KEY", "MISSING_KEY", "BAD_NAME"],
        ),
        ("  clean: [{ keepOne: ‸1 }, { keepOne: ‸2 }]\n", &["WRONG_TYPE", "WRONG_TYPE"]),
    ]);
}

use super::*;
use crate::ids::PolicyName;
use crate::inspection::{SourceColumn, SourceFile, SourceFormat, TargetState};
use crate::plan::{PartitionField, Rule, StageKind, Transform};
use crate::types::DataType;

fn policy(spec: &str) -> Policy {
    let text = format!(
        "apiVersion: skein/v1\nkind: MigrationPolicy\nmetadata: {{ name: p, owner: team }}\nspec:\n  source: {{ connection: legacy, include: [\"music.*\"] }}\n{spec}"
    );
    let with_target = if spec.contains("target:") { text } else { format!("{text}  target: {{ connection: lake }}\n") };
    policy::parse(&with_target).unwrap_or_else(|errors| panic!("{errors:?}\n{with_target}"))
}

fn inspection() -> Inspection {
    let column = |name: &str, data_type: &str, partition| SourceColumn {
        name: name.to_owned(),
        data_type: data_type.parse().unwrap(),
        partition,
    };
    let file = |partition: &str| SourceFile {
        path: format!("dt={partition}/part-0"),
        bytes: 1000,
        modified_nanos: 5,
        version: "1".to_owned(),
        partition: vec![Some(partition.to_owned())],
        rows: Some(10),
        row_groups: vec![10],
    };
    Inspection {
        dataset: "music.plays".parse().unwrap(),
        connection: "legacy".into(),
        location: "/wh/music.db/plays".to_owned(),
        described_by: DescribedBy::Description,
        format: Some(SourceFormat::Parquet),
        columns: vec![
            column("i", "int", false),
            column("Ti", "tinyint", false),
            column("c", "char(6)", false),
            column("ts", "timestamp", false),
            column("arr", "array<smallint>", false),
            column("dt", "string", true),
        ],
        files: vec![file("2024-01-01"), file("2024-01-02")],
        partitioning: Vec::new(),
        documentation: Default::default(),
        problems: Vec::new(),
        notes: Vec::new(),
        target: TargetState { location: "/lake/music/plays".to_owned(), occupied_by: None },
    }
}

fn planned(spec: &str, inspection: &Inspection) -> Planned {
    let policy = policy(spec);
    let id = MigrationId::derive(&PolicyName("p".to_owned()), Generation(1), &inspection.dataset);
    plan(&policy, id, Generation(1), &target_name(&policy, &inspection.dataset).unwrap(), inspection)
}

fn ready(spec: &str) -> Plan {
    match planned(spec, &inspection()) {
        Planned::Ready(plan) => *plan,
        Planned::Refused(refusal) => panic!("{:?}", refusal.problems),
    }
}

fn refused(spec: &str) -> Vec<Code> {
    match planned(spec, &inspection()) {
        Planned::Ready(_) => panic!("{spec} was planned"),
        Planned::Refused(refusal) => refusal.problems.iter().map(|problem| problem.code).collect(),
    }
}

fn types(plan: &Plan) -> Vec<(String, String)> {
    plan.target.columns.iter().map(|c| (c.name.clone(), c.data_type.to_string())).collect()
}

#[test]
fn without_rules_every_column_is_carried_over_and_the_partitioning_kept() {
    let plan = ready("");
    let expected =
        [("i", "int"), ("Ti", "int"), ("c", "string"), ("ts", "timestamp"), ("arr", "array<int>"), ("dt", "string")];
    let expected: Vec<(String, String)> = expected.map(|(n, t)| (n.to_owned(), t.to_owned())).to_vec();
    assert_eq!(types(&plan), expected);
    assert_eq!(plan.strategy.kind, StrategyKind::Copy);
    assert_eq!(plan.lossless_columns().len(), 6);
    let [field] = plan.target.partitioning.as_slice() else { panic!("{:?}", plan.target.partitioning) };
    assert_eq!((field.column.as_str(), field.transform), ("dt", Transform::Identity));
    assert!(plan.notes.iter().any(|note| note.contains("char(6) becomes string")));
}

#[test]
fn schema_rules_change_columns_and_are_named_in_the_notes() {
    let plan = ready(
        "  schema:\n    add: [{ name: description, type: string, default: \"\" }]\n    rename: [{ from: I, to: id }]\n    drop: [c]\n    cast: [{ column: ti, type: bigint }, { column: ts, type: date }]\n    types: { timestamp: timestamptz }\n",
    );
    let expected = [
        ("id", "int"),
        ("Ti", "bigint"),
        ("ts", "date"),
        ("arr", "array<int>"),
        ("dt", "string"),
        ("description", "string"),
    ];
    let expected: Vec<(String, String)> = expected.map(|(n, t)| (n.to_owned(), t.to_owned())).to_vec();
    assert_eq!(types(&plan), expected);
    assert_eq!(plan.strategy.kind, StrategyKind::Transform);
    let lossless: Vec<&str> = plan.lossless_columns().iter().map(|(source, _)| *source).collect();
    assert_eq!(lossless, ["i", "Ti", "arr", "dt"], "a cast that loses something and an added column are no proof");
    for said in ["column c is dropped", "renamed to id", "the time of day is cut off", "description string is added"] {
        assert!(plan.notes.iter().any(|note| note.contains(said)), "{said}: {:?}", plan.notes);
    }
}

#[test]
fn rules_on_columns_that_are_not_there_are_refused_or_skipped_as_the_policy_says() {
    assert_eq!(refused("  schema: { drop: [nope] }\n"), [Code::ColumnMissing]);
    assert_eq!(refused("  filter: nope > 1\n"), [Code::ColumnMissing]);
    assert_eq!(refused("  validate: { checks: [{ sql: count_if(nope is null) = 0 }] }\n"), [Code::ColumnMissing]);
    assert_eq!(refused("  schema: { add: [{ name: TS, type: string }] }\n"), [Code::ColumnExists]);
    assert_eq!(refused("  schema: { cast: [{ column: arr, type: int }] }\n"), [Code::RuleInapplicable]);
    assert_eq!(
        refused("  target: { connection: lake, partitioning: [{ column: arr, transform: day }] }\n"),
        [Code::RuleInapplicable]
    );
    let plan = ready("  schema: { drop: [{ column: nope, ifMissing: skip }] }\n");
    assert!(plan.notes.iter().any(|note| note.contains("does nothing")));
}

#[test]
fn what_the_inspection_found_is_part_of_the_refusal() {
    let mut found = inspection();
    found.target.occupied_by = Some("/lake/music/plays/metadata/x.json".to_owned());
    found.problems.push(Problem::new(Code::FileDamaged, "file", "it is truncated", "restore it"));
    let Planned::Refused(refusal) = planned("", &found) else { panic!("it was planned") };
    let codes: Vec<Code> = refusal.problems.iter().map(|problem| problem.code).collect();
    assert_eq!(codes, [Code::FileDamaged, Code::TargetExists]);
    assert!(refusal.problems.iter().all(|problem| problem.dataset.as_deref() == Some("music.plays")));
}

#[test]
fn the_same_input_gives_the_same_hash_and_every_change_of_the_source_another() {
    assert_eq!(ready("").hash(), ready("").hash());
    let mut found = inspection();
    found.files[0].version = "2".to_owned();
    let Planned::Ready(changed) = planned("", &found) else { panic!("it was refused") };
    assert_ne!(changed.hash(), ready("").hash());
}

#[test]
fn a_plan_survives_its_json_form() {
    let plan = ready(
        "  clean: [{ dropDuplicates: exact }]\n  filter: i > 3\n  validate: { tolerances: { removedRowsPercent: 2.5 } }\n",
    );
    let text = crate::hash::canonical_json(&plan).unwrap();
    let back: Plan = serde_json::from_str(&text).unwrap();
    assert_eq!(back, plan);
    assert_eq!(crate::hash::Hash256::of(text.as_bytes()), plan.hash());
}

#[test]
fn rules_are_resolved_and_keys_are_staged() {
    let plan = ready(
        "  filter: TI is not null\n  clean: [{ dropDuplicates: exact }, { keepOne: { key: [I], orderBy: [{ column: TS, direction: desc }] } }]\n",
    );
    assert_eq!(plan.rules[0].rule, Rule::Filter { sql: "\"Ti\" IS NOT NULL".to_owned() });
    let Rule::KeepOne { key, order } = &plan.rules[2].rule else { panic!("{:?}", plan.rules) };
    assert_eq!((key.as_slice(), order[0].column.as_str(), order[0].descending), (&["i".to_owned()][..], "ts", true));
    assert!(matches!(plan.stages[0].kind, StageKind::Identify { ranges: 1 }));
    assert_eq!(plan.stages.len(), 3);
}

#[test]
fn the_script_is_complete() {
    let plan = ready(
        "  schema: { add: [{ name: note, type: string, default: \"it's\" }] }\n  clean: [{ dropDuplicates: exact }]\n  validate: { checks: [{ name: all there, sql: count(*) > 0 }] }\n",
    );
    for part in [
        "CREATE EXTERNAL TABLE source",
        "'partition_columns' '\"dt\" string'",
        "hive_cast('it''s', 'string') AS \"note\"",
        "hive_cast(\"arr\", 'array<int>') AS \"arr\"",
        "PARTITION BY row128(\"i\", \"Ti\", \"c\", \"ts\", \"arr\", \"dt\") ORDER BY \"_file\", \"_row\"",
        "PARTITIONED BY (`dt`)",
        "SELECT 'all there' AS \"check\"",
        "skein rollback music.plays",
    ] {
        assert!(plan.script.contains(part), "{part} is not in\n{}", plan.script);
    }
}

#[test]
fn names_that_no_catalog_takes_are_refused() {
    let policy = policy("");
    let problem = target_name(&policy, &TableName::new("music", "a b")).unwrap_err();
    assert_eq!(problem.code, Code::TargetNameInvalid);
}

#[test]
fn settings_of_the_target_are_the_plans_and_the_policys_properties_go_before_the_sources() {
    let plan = ready("");
    assert_eq!((plan.target.format_version, plan.target.zstd_level, plan.target.file_bytes), (2, 3, 512 << 20));
    assert!(plan.target.sort.is_empty());
    let target = "  target: { connection: lake, formatVersion: 3, zstdLevel: 9, fileSize: 64MiB, tableProperties: { comment: of the policy, x: y }, sortBy: [{ column: TI, direction: desc, nulls: first }, { column: dt }] }\n";
    let mut inspection = inspection();
    inspection.documentation.owner = Some("hive".to_owned());
    inspection.documentation.comment = Some("of the source".to_owned());
    let Planned::Ready(plan) = planned(target, &inspection) else { panic!("it is planned") };
    assert_eq!((plan.target.format_version, plan.target.zstd_level, plan.target.file_bytes), (3, 9, 64 << 20));
    let properties: Vec<_> = plan.target.properties.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(properties, ["comment=of the policy", "owner=hive", "x=y"]);
    let sort: Vec<_> =
        plan.target.sort.iter().map(|term| (term.column.as_str(), term.descending, term.nulls_first)).collect();
    assert_eq!(sort, [("Ti", true, true), ("dt", false, false)]);
    for line in
        ["'format-version' = '3'", "'x' = 'y'", "WRITE LOCALLY ORDERED BY `Ti` DESC NULLS FIRST, `dt` ASC NULLS LAST"]
    {
        assert!(plan.script.contains(line), "{}", plan.script);
    }
}

#[test]
fn a_sort_order_names_plain_columns_of_the_target() {
    let with = |column: &str| refused(&format!("  target: {{ connection: lake, sortBy: [{{ column: {column} }}] }}\n"));
    assert_eq!(with("arr"), [Code::RuleInapplicable]);
    assert_eq!(with("nowhere"), [Code::ColumnMissing]);
}

fn of_iceberg() -> Inspection {
    let field = |column: &str, transform: &str, name: &str| PartitionField {
        column: column.to_owned(),
        transform: transform.parse().unwrap(),
        name: name.to_owned(),
    };
    let mut inspection = inspection();
    inspection.columns.iter_mut().for_each(|column| column.partition = false);
    inspection.partitioning =
        vec![field("i", "bucket[4]", "i_bucket"), field("ts", "day", "when"), field("dt", "identity", "dt")];
    inspection
}

#[test]
fn partition_fields_of_an_iceberg_source_are_kept_over_renamed_columns() {
    let planned = planned("  schema: { rename: [{ from: dt, to: day }, { from: i, to: number }] }\n", &of_iceberg());
    let Planned::Ready(plan) = planned else { panic!("{planned:?}") };
    let kept: Vec<String> = plan
        .target
        .partitioning
        .iter()
        .map(|field| format!("{} = {} of {}", field.name, field.transform, field.column))
        .collect();
    assert_eq!(kept, ["i_bucket = bucket[4] of number", "when = day of ts", "day = identity of day"]);
    let planned = super::tests::planned("  schema: { drop: [{ column: ts }] }\n", &of_iceberg());
    let Planned::Ready(plan) = planned else { panic!("{planned:?}") };
    assert_eq!(plan.target.partitioning.len(), 2);
    assert!(plan.notes.iter().any(|note| note.contains("day of ts, which is dropped")), "{:?}", plan.notes);
    let none = "  target: { connection: lake, partitioning: none }\n";
    let Planned::Ready(plan) = super::tests::planned(none, &of_iceberg()) else { panic!("it can be done") };
    assert!(plan.target.partitioning.is_empty() && plan.notes.iter().any(|note| note.contains("the target is not")));
}

#[test]
fn partition_fields_that_cannot_be_kept_are_refused_unless_the_policy_says_others() {
    let mut nested = of_iceberg();
    nested.partitioning[0].column = "s.x".to_owned();
    let mut clash = of_iceberg();
    clash.partitioning[1].name = "c".to_owned();
    let cast = "  schema: { cast: [{ column: ts, type: string }] }\n";
    for (spec, inspection, code) in [
        ("", &nested, Code::RuleInapplicable),
        ("", &clash, Code::ColumnExists),
        (cast, &of_iceberg(), Code::RuleInapplicable),
    ] {
        let Planned::Refused(refusal) = planned(spec, inspection) else { panic!("{spec} is planned") };
        assert_eq!(refusal.problems.iter().map(|problem| problem.code).collect::<Vec<_>>(), [code]);
    }
    let none = "  target: { connection: lake, partitioning: none }\n";
    assert!(matches!(planned(none, &nested), Planned::Ready(_)));
}

#[test]
fn instants_are_cast_to_the_wall_clock_in_utc_and_to_nothing_else() {
    let mut inspection = inspection();
    inspection.columns[3].data_type = DataType::TimestampTz;
    let cast = |to: &str| planned(&format!("  schema: {{ cast: [{{ column: ts, type: {to} }}] }}\n"), &inspection);
    let Planned::Ready(plan) = cast("timestamp") else { panic!("it can be done") };
    assert_eq!(plan.target.columns[3].conversion, Conversion::Widen);
    for to in ["string", "date", "bigint"] {
        assert!(matches!(cast(to), Planned::Refused(_)), "{to}");
    }
    let Planned::Ready(plan) = planned("", &inspection) else { panic!("it can be done") };
    assert_eq!(
        (&plan.target.columns[3].data_type, &plan.target.columns[3].conversion),
        (&DataType::TimestampTz, &Conversion::Same)
    );
}

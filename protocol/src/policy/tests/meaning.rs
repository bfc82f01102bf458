//! Documents that are right: what they mean.

use super::{documented, minimal};
use crate::hash::{Hash256, canonical_json};
use crate::policy::{
    BatchComparison, CleanRule, Direction, FinalComparison, IfMissing, MAX_DOCUMENT_BYTES, Partitioning,
    PartitioningMode, Policy, Strategy, parse,
};

#[test]
fn defaults_are_filled_in() {
    let policy = parse(&minimal("")).unwrap();
    let json = r#"{"apiVersion":"skein/v1","kind":"MigrationPolicy","metadata":{"labels":{},"name":"p","owner":"team"},"spec":{"approval":{"by":"owner","required":true},"clean":[],"run":{"after":[],"attempts":5,"priority":50},"schema":{"add":[],"cast":[],"drop":[],"rename":[],"types":{"char":"keepPadding","smallint":"int","timestamp":"timestamp","tinyint":"int"}},"source":{"connection":"legacy","exclude":[],"include":["a.*"]},"strategy":"auto","target":{"connection":"lake","name":"{database}.{table}","partitioning":"keep"},"validate":{"checks":[],"eachBatch":["count","checksum"],"final":["count","checksum","nulls","spark64"],"onDifference":"pause","tolerances":{}}}}"#;
    assert_eq!(canonical_json(&policy).unwrap(), json);
    assert_eq!(policy.spec.target.partitioning, Partitioning::Mode(PartitioningMode::Keep));
}

#[test]
fn every_document_of_the_reference_survives_json() {
    for text in documented() {
        let policy = parse(text).unwrap_or_else(|errors| panic!("{errors:#?}"));
        let json = canonical_json(&policy).unwrap();
        let back: Policy = serde_json::from_str(&json).unwrap();
        assert_eq!(back, policy);
        assert_eq!(canonical_json(&back).unwrap(), json);
        // The canonical form is a document itself, of the same meaning.
        assert_eq!(parse(&json).unwrap_or_else(|errors| panic!("{json}\n{errors:#?}")), policy);
    }
}

#[test]
fn the_whole_document_is_read_as_it_is_meant() {
    let text = documented()[1];
    let policy = parse(text).unwrap();
    let spec = &policy.spec;
    assert_eq!(policy.metadata.labels.get("wave").map(String::as_str), Some("3"));
    assert!(
        spec.source.selects(&"playlists.daily".parse().unwrap())
            && !spec.source.selects(&"playlists.tmp_1".parse().unwrap())
    );
    assert_eq!(spec.strategy, Strategy::Auto);
    let Partitioning::Fields(fields) = &spec.target.partitioning else { panic!("a list is expected") };
    assert_eq!(fields.iter().map(|field| field.field_name()).collect::<Vec<_>>(), ["dt", "user_bucket"]);
    let target = &spec.target;
    assert_eq!((target.format_version, target.zstd_level), (Some(3), Some(9)));
    assert_eq!(target.file_size.unwrap().bytes(), 256 << 20);
    assert_eq!(target.table_properties["gc.enabled"], "false");
    assert_eq!((target.sort_by.len(), target.sort_by[0].direction), (2, Direction::Desc));
    assert_eq!(spec.schema.add[0].default.text(), Some(""));
    let drops: Vec<_> = spec.schema.drop.iter().map(|rule| (rule.column.as_str(), rule.if_missing)).collect();
    assert_eq!(drops, [("legacy_flag", IfMissing::Refuse), ("debug_info", IfMissing::Skip)]);
    assert!(matches!(spec.clean.as_slice(), [CleanRule::DropDuplicates(_), CleanRule::KeepOne(_)]));
    assert_eq!(spec.filter.as_ref().unwrap().to_string(), r#""country" IS NOT NULL AND "plays" >= 0"#);
    assert_eq!(spec.validate.each_batch, [BatchComparison::Count, BatchComparison::Checksum]);
    assert!(spec.validate.at_end.contains(&FinalComparison::MinMax));
    assert_eq!(
        spec.validate.checks.iter().enumerate().map(|(n, c)| c.label(n)).collect::<Vec<_>>(),
        ["every playlist has an id", "checks[1]"]
    );
    assert!(spec.validate.tolerances.removed_rows_percent.unwrap().allows(5, 1_000));
    assert_eq!(spec.run.memory.unwrap().bytes(), 512 << 20);
}

#[test]
fn order_and_style_of_writing_do_not_change_the_hash() {
    let block = minimal("  run:\n    attempts: 3\n    priority: 7\n");
    let flow = minimal("  \"run\": {\"priority\": 7, 'attempts': 3}\n").replace("owner: team", "owner: &o team");
    let hash = |text: &str| Hash256::of_document(&parse(text).unwrap()).unwrap();
    assert_eq!(hash(&block), hash(&flow));
    assert_ne!(hash(&block), hash(&minimal("")));
}

#[test]
fn a_document_in_json_is_read() {
    let json = "{\n\t\"apiVersion\": \"skein\\/v1\", \"kind\": \"MigrationPolicy\",\n\t\"metadata\": {\"name\": \"p\", \"owner\": \"t\\u00e9am\"},\n\t\"spec\": {\"source\": {\"connection\": \"l\", \"include\": [\"a.*\"]}, \"target\": {\"connection\": \"l\"}}\n}\n";
    let errors = parse(json).unwrap_err();
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert_eq!((errors[0].line, errors[0].column, errors[0].path.as_str()), (3, 37, "metadata.owner"));
    assert!(parse(&json.replace("\\u00e9", "e")).is_ok());
}

#[test]
fn line_ends_and_a_byte_order_mark_do_not_matter() {
    let text = minimal("  strategy: copy\n");
    let policy = parse(&text).unwrap();
    assert_eq!(parse(&text.replace('\n', "\r\n")).unwrap(), policy);
    assert_eq!(parse(&format!("\u{feff}{text}")).unwrap(), policy);
    assert_eq!(parse(&format!("%YAML 1.2\n---\n{text}...\n")).unwrap(), policy);
}

#[test]
fn aliases_stand_for_what_they_name() {
    let spec = "  clean:\n    - keepOne: { key: &key [a, b], orderBy: [{ column: c }] }\n  schema:\n    drop: *key\n";
    let policy = parse(&minimal(spec)).unwrap();
    assert_eq!(policy.spec.schema.drop.len(), 2);
}

#[test]
fn documents_are_bounded() {
    let code = |text: &str| parse(text).unwrap_err().last().unwrap().code.as_str();
    assert_eq!(code(&format!("a: {}", "x".repeat(MAX_DOCUMENT_BYTES))), "POLICY_TOO_LARGE");
    assert_eq!(code(&format!("a: {}{}", "[".repeat(40), "]".repeat(40))), "POLICY_TOO_LARGE");
    assert_eq!(code(&format!("a: {}", "[".repeat(100_000))), "POLICY_TOO_LARGE");
    assert_eq!(code(&format!("a: [{}]", "1,".repeat(30_000))), "POLICY_TOO_LARGE");
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..10 {
        let below = format!("*a{}", level - 1);
        bomb.push_str(&format!("a{level}: &a{level} [{}]\n", vec![below; 9].join(", ")));
    }
    assert_eq!(code(&bomb), "POLICY_TOO_LARGE");
    let mut tower = "a0: &a0 [x]\n".to_owned();
    for level in 1..40 {
        tower.push_str(&format!("a{level}: &a{level} [*a{}]\n", level - 1));
    }
    assert_eq!(code(&tower), "POLICY_TOO_LARGE");
}

#[test]
fn the_number_of_errors_is_bounded() {
    let keys: String = (0..500).map(|n| format!("  unknown{n}: 1\n")).collect();
    assert_eq!(parse(&minimal(&keys)).unwrap_err().len(), crate::policy::MAX_ERRORS);
}

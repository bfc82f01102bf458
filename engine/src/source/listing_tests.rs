//! Tests of the walk over a table's folder.

use std::fs;

use super::super::places::Places;
use super::*;
use skein_protocol::connection::HiveFiles;
use skein_protocol::ids::TableName;
use skein_protocol::problem::Problem;
use tempfile::TempDir;

fn table(files: &[&str]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in files {
        let path = folder.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, if file.ends_with("empty") { "" } else { "x" }).unwrap();
    }
    folder
}

fn described(columns: &[(&str, &str)], known: Option<&[&str]>) -> Partitions {
    let columns = columns.iter().map(|(name, text)| ((*name).to_owned(), text.parse().unwrap())).collect();
    let values = |text: &&str| partitions::specification(text).unwrap().into_iter().map(|level| level.value).collect();
    Partitions::Described { columns, known: known.map(|known| known.iter().map(values).collect()) }
}

fn walk(folder: &TempDir, partitions: &Partitions) -> (Listing, Vec<Problem>, Vec<String>) {
    let warehouse = folder.path().to_str().unwrap().to_owned();
    let roots = Roots::of(&HiveFiles::at(warehouse), &Places::local());
    let mut findings = Findings::new(&TableName::new("d", "t"));
    let listing = list(&roots.resolve(folder.path()).unwrap(), &roots, partitions, &mut findings);
    let (problems, notes) = findings.finish();
    (listing, problems, notes)
}

fn names(listing: &Listing) -> Vec<&str> {
    listing.files.iter().map(|file| file.relative.as_str()).collect()
}

#[test]
fn side_files_are_no_data_whatever_they_are() {
    let folder = table(&["b", "a", "_SUCCESS", ".a.crc", "_temporary/0/x", ".hive-staging/x", "zero_empty"]);
    let (listing, problems, notes) = walk(&folder, &described(&[], None));
    assert_eq!(names(&listing), ["a", "b"]);
    assert!(problems.is_empty(), "{problems:?}");
    assert_eq!(notes.len(), 1, "{notes:?}");
}

#[test]
fn partition_values_are_decoded_in_the_order_of_the_columns() {
    let folder = table(&[
        "Country=01/n=0/f",
        "Country=S%2F1/n=1/f",
        "Country=__HIVE_DEFAULT_PARTITION__/n=__HIVE_DEFAULT_PARTITION__/f",
    ]);
    let (listing, problems, _) = walk(&folder, &described(&[("country", "string"), ("n", "int")], None));
    assert!(problems.is_empty(), "{problems:?}");
    let values: Vec<Vec<Option<&str>>> =
        listing.files.iter().map(|file| file.partition.iter().map(Option::as_deref).collect()).collect();
    assert_eq!(values, [vec![Some("01"), Some("0")], vec![Some("S/1"), Some("1")], vec![None, None]]);
}

#[test]
fn what_does_not_fit_the_layout_is_named() {
    let columns = [("dt", "date")];
    for (bad, why) in [
        ("f", "wrong level"),
        ("dt=2024-02-30/f", "no date"),
        ("day=2024-01-01/f", "another key"),
        ("dt=2024-01-01/hour=1/f", "one level too many"),
        ("dt=2024-01-01/sub/f", "no partition"),
        ("dt=%ff/f", "no text"),
    ] {
        let folder = table(&["dt=2024-01-02/f", bad]);
        let (_, problems, _) = walk(&folder, &described(&columns, None));
        let codes: Vec<Code> = problems.iter().map(|problem| problem.code).collect();
        assert_eq!(codes, [Code::PartitionLayout], "{why}");
    }
}

#[test]
fn partitions_that_the_description_lacks_are_no_data() {
    let folder = table(&["dt=1/f", "dt=2/f"]);
    let (listing, problems, notes) = walk(&folder, &described(&[("dt", "string")], Some(&["dt=1", "dt=3"])));
    assert_eq!(names(&listing), ["dt=1/f"]);
    assert!(problems.is_empty());
    assert_eq!(notes.len(), 2, "{notes:?}");
    assert!(notes[0].contains("dt=2"));
}

#[test]
fn without_a_description_the_folders_name_the_columns() {
    let folder = table(&["Year=2024/m=1/f", "year=2025/M=2/f"]);
    let (listing, problems, _) = walk(&folder, &Partitions::FromFolders);
    assert!(problems.is_empty(), "{problems:?}");
    assert_eq!(listing.keys, ["year", "m"]);
    let folder = table(&["a=1/f", "f"]);
    let (_, problems, _) = walk(&folder, &Partitions::FromFolders);
    assert_eq!(problems[0].code, Code::PartitionLayout);
}

#[test]
fn transactional_tables_are_refused() {
    let folder = table(&["delta_0000001_0000001_0000/bucket_00000"]);
    let (_, problems, _) = walk(&folder, &described(&[], None));
    assert_eq!(problems[0].code, Code::LayoutUnsupported);
}

#[cfg(unix)]
#[test]
fn a_linked_file_outside_the_roots_is_forbidden() {
    let outside = table(&["secret"]);
    let folder = table(&["f"]);
    std::os::unix::fs::symlink(outside.path().join("secret"), folder.path().join("g")).unwrap();
    let (listing, problems, _) = walk(&folder, &described(&[], None));
    assert_eq!(names(&listing), ["f"]);
    assert_eq!(problems[0].code, Code::LocationForbidden);
}

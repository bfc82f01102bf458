use std::fs;
use std::os::unix::fs::symlink;

use skein_protocol::ids::{Attempt, BatchId, BatchNo, ConnectionName, Epoch, MigrationId, Run, StageNo};
use uuid::Uuid;

use super::*;

fn collect(warehouse: &Path, request: &CollectRequest) -> Result<Collected, Failure> {
    super::collect(&Files::new(std::sync::Arc::default()), &warehouse.display().to_string(), request)
}
use crate::iceberg::names::{Handout, staged_path};

const MIGRATION: MigrationId = MigrationId(Uuid::from_u128(7));

fn request(table: &Path, up_to: u64, keep: Vec<String>) -> CollectRequest {
    CollectRequest {
        connection: ConnectionName::from("lake"),
        table_location: table.display().to_string(),
        migration: MIGRATION,
        run: Run(1),
        up_to: Epoch(up_to),
        keep,
    }
}

fn staged(table: &Path, epoch: u64, attempt: u32) -> std::path::PathBuf {
    let handout = Handout {
        epoch: Epoch(epoch),
        batch: BatchId { stage: StageNo(0), batch: BatchNo(0) },
        attempt: Attempt(attempt),
    };
    let path =
        std::path::PathBuf::from(staged_path(&table.display().to_string(), MIGRATION, Run(1), handout, 0).unwrap());
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, b"12345").unwrap();
    path
}

#[test]
fn only_unreferenced_files_of_closed_epochs_go() {
    let warehouse = tempfile::tempdir().unwrap();
    let table = warehouse.path().join("db/t");
    let (old, kept, young) = (staged(&table, 1, 1), staged(&table, 1, 2), staged(&table, 3, 3));
    let stranger = old.with_file_name("notes.txt");
    fs::write(&stranger, b"mine").unwrap();
    let link = old.with_file_name("1-0.0-9-9.parquet");
    symlink(&kept, &link).unwrap();
    let request = request(&table, 2, vec![kept.display().to_string()]);
    let collected = collect(warehouse.path(), &request).unwrap();
    assert_eq!((collected.files, collected.bytes), (1, 5));
    assert!(!old.exists());
    assert!(kept.exists() && young.exists() && stranger.exists() && link.is_symlink());
    assert_eq!(collect(warehouse.path(), &request).unwrap(), Collected::default());
}

#[test]
fn tables_outside_the_warehouse_and_linked_folders_are_left_alone() {
    let (warehouse, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let victim = staged(&outside.path().join("t"), 1, 1);
    let failure = collect(warehouse.path(), &request(&outside.path().join("t"), 9, vec![])).unwrap_err();
    assert_eq!(failure.code(), Code::LocationForbidden);
    let sneaky = warehouse.path().join("x/../../").join(outside.path().file_name().unwrap()).join("t");
    assert_eq!(collect(warehouse.path(), &request(&sneaky, 9, vec![])).unwrap_err().code(), Code::LocationForbidden);
    let table = warehouse.path().join("t");
    fs::create_dir(&table).unwrap();
    symlink(outside.path().join("t/data"), table.join("data")).unwrap();
    assert_eq!(collect(warehouse.path(), &request(&table, 9, vec![])).unwrap_err().code(), Code::Io);
    assert!(victim.exists());
}

#[test]
fn a_run_without_files_has_nothing_to_collect() {
    let warehouse = tempfile::tempdir().unwrap();
    assert_eq!(
        collect(warehouse.path(), &request(&warehouse.path().join("db/t"), 9, vec![])).unwrap(),
        Collected::default()
    );
}

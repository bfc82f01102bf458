use super::*;

fn files() -> Files {
    Files::new(Arc::default())
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_finished_file_has_the_length_and_hash_that_a_reader_finds() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/b/c.parquet");
    let all = files();
    let mut writer = all.create_new(text(&path)).unwrap();
    for chunk in [&b"some"[..], b"", &[7; 1_000_000], b"bytes"] {
        writer.write_all(chunk).unwrap();
    }
    let finished = writer.finish().unwrap();
    assert_eq!(finished.0, 1_000_009);
    assert_eq!(finished, all.hash(text(&path)).unwrap());
    assert!(all.fsyncs() >= 4, "two folders, the file and its name");
}

#[test]
fn a_name_that_exists_is_refused_even_as_a_dangling_link() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("taken");
    files().create_new(text(&path)).unwrap().finish().unwrap();
    assert_eq!(files().create_new(text(&path)).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(folder.path().join("nowhere"), &link).unwrap();
    assert_eq!(files().create_new(text(&link)).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
}

#[test]
fn an_unfinished_file_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("part");
    let mut writer = files().create_new(text(&path)).unwrap();
    writer.write_all(b"half").unwrap();
    assert!(path.exists());
    drop(writer);
    assert!(!path.exists());
}

#[test]
fn writing_the_same_bytes_again_succeeds_and_other_bytes_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("metadata/x.json");
    let all = files();
    all.write_new(text(&path), b"{}").unwrap();
    all.write_new(text(&path), b"{}").unwrap();
    for other in [&b"{"[..], b"{} ", b""] {
        assert_eq!(all.write_new(text(&path), other).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    }
    assert_eq!(fs::read(&path).unwrap(), b"{}");
    let left: Vec<_> = fs::read_dir(path.parent().unwrap()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["x.json"], "no temporary file stays");
}

#[test]
fn a_folder_that_was_removed_is_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let all = files();
    let path = folder.path().join("t/data/1.parquet");
    all.write_new(text(&path), b"1").unwrap();
    fs::remove_dir_all(folder.path().join("t")).unwrap();
    all.write_new(text(&path), b"1").unwrap();
    assert!(path.exists());
}

#[test]
fn known_folders_are_not_forced_to_the_disk_again() {
    let folder = tempfile::tempdir().unwrap();
    let all = files();
    all.write_new(text(&folder.path().join("t/data/1")), b"1").unwrap();
    let before = all.fsyncs();
    all.write_new(text(&folder.path().join("t/data/2")), b"1").unwrap();
    assert_eq!(all.fsyncs() - before, 2, "the file and its name");
}

#[test]
fn locations_are_absolute_paths_with_or_without_a_scheme() {
    for location in ["/w/t", "file:/w/t", "file:///w/t"] {
        assert_eq!(path_of(location).unwrap(), Path::new("/w/t"));
    }
    for other in ["w/t", "s3://bucket/t", "file://host/t", ""] {
        assert!(path_of(other).is_err(), "{other}");
    }
}

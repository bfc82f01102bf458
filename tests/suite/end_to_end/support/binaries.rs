//! The programs under test: beside the test's own folder of the build, and built where they are not there.

use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;

static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    let own = std::env::current_exe().expect("a test knows its own path");
    let folder = own.ancestors().nth(2).expect("it lies in `deps` of the build's folder").to_path_buf();
    if !folder.join("skein").is_file() || !folder.join("skein-node").is_file() {
        let target = folder.parent().expect("the build's folder lies in the target folder");
        let status = Command::new(env!("CARGO"))
            .args(["build", "--release", "--bins", "--target-dir"])
            .arg(target)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .status()
            .expect("cargo starts");
        assert!(status.success(), "the programs under test cannot be built");
    }
    folder
});

/// The command line.
pub(crate) fn skein() -> PathBuf {
    FOLDER.join("skein")
}

/// The node.
pub(crate) fn skein_node() -> PathBuf {
    FOLDER.join("skein-node")
}

//! The folder of one test. It goes when the test ends well, and stays to be looked at when it does not.

use std::path::Path;

use tempfile::TempDir;

/// A new folder.
#[derive(Debug)]
pub(crate) struct Scratch(Option<TempDir>);

impl Scratch {
    pub(crate) fn new(test: &str) -> Self {
        let prefix = format!("skein-fleet-{test}-");
        let folder = tempfile::Builder::new().prefix(&prefix).tempdir().expect("a folder can be made");
        Self(Some(folder))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.as_ref().expect("it is there until it is dropped").path()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if std::thread::panicking()
            && let Some(folder) = self.0.take()
        {
            eprintln!("logs and data of the failed test: {}", folder.keep().display());
        }
    }
}

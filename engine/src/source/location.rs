//! Where tables may lie: locations made absolute, links resolved, and held against the allowed roots.
//!
//! In: locations as descriptions write them. Out: [`Located`]. Not here: what lies there (`listing`).

use std::io;
use std::path::{Path, PathBuf};

use skein_protocol::connection::HiveFiles;
use skein_protocol::problem::{Code, Problem};

/// The folders under which every location must lie, links resolved.
#[derive(Debug, Clone)]
pub(super) struct Roots {
    roots: Vec<PathBuf>,
}

/// A location that lies under the roots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Located {
    /// Absolute, links resolved.
    pub(super) path: PathBuf,
    /// Whether anything is there.
    pub(super) exists: bool,
}

impl Roots {
    /// The roots of a connection: those that are configured, else the warehouse alone.
    pub(super) fn of(config: &HiveFiles) -> Self {
        let configured = if config.allowed_roots.is_empty() {
            std::slice::from_ref(&config.warehouse)
        } else {
            &config.allowed_roots
        };
        // A root that does not exist holds nothing, so it allows nothing.
        Self { roots: configured.iter().filter_map(|root| Path::new(root).canonicalize().ok()).collect() }
    }

    /// Whether the canonical `path` lies under a root.
    pub(super) fn hold(&self, path: &Path) -> bool {
        self.roots.iter().any(|root| path.starts_with(root))
    }

    /// Resolves `path`. What does not exist is located by its folder, which must exist.
    pub(super) fn resolve(&self, path: &Path) -> Result<Located, Problem> {
        let located = match path.canonicalize() {
            Ok(path) => Located { path, exists: true },
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let folder = path.parent().and_then(|folder| folder.canonicalize().ok());
                match (folder, path.file_name()) {
                    (Some(folder), Some(name)) if !path.is_symlink() => {
                        Located { path: folder.join(name), exists: false }
                    }
                    _ => return Err(unreadable(path, &error)),
                }
            }
            Err(error) => return Err(unreadable(path, &error)),
        };
        if self.hold(&located.path) { Ok(located) } else { Err(forbidden(&located.path)) }
    }
}

/// The path that a description's location means: absolute, a `file:` URI, or relative to the description's folder.
pub(super) fn path_of(location: &str, description_folder: &Path) -> Result<PathBuf, Problem> {
    match location.split_once(':') {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("file") => {
            // `file:/a`, `file:///a` and `file://localhost/a` all mean `/a`; Hadoop writes no percent escapes here.
            let rest = rest.strip_prefix("//localhost").unwrap_or(rest);
            Ok(PathBuf::from(format!("/{}", rest.trim_start_matches('/'))))
        }
        Some((scheme, _)) if is_scheme(scheme) => Err(Problem::new(
            Code::LocationForbidden,
            format!("The table lies at {location:?}"),
            format!("connections of kind hive-files read local folders, not {scheme}:"),
            "Copy or mount the table's folder and name it in the description",
        )),
        _ => Ok(description_folder.join(location)),
    }
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+.-".contains(&b))
}

/// A problem with a folder or file that the system does not let us read.
pub(super) fn unreadable(path: &Path, error: &io::Error) -> Problem {
    Problem::new(
        Code::SourceUnreadable,
        format!("{} cannot be read", path.display()),
        error.to_string(),
        "Check that it exists and that the node's user may read it",
    )
}

/// A problem with a location outside the roots.
pub(super) fn forbidden(path: &Path) -> Problem {
    Problem::new(
        Code::LocationForbidden,
        format!("{} may not be read", path.display()),
        "with links resolved it lies outside the connection's allowed roots",
        "Add its folder to allowedRoots of the connection if the data there may be migrated",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roots(warehouse: &Path) -> Roots {
        let warehouse = warehouse.to_str().unwrap().to_owned();
        Roots::of(&HiveFiles::at(warehouse))
    }

    #[test]
    fn locations_are_absolute_uris_or_relative_to_the_description() {
        let folder = Path::new("/data");
        for (location, path) in [
            ("w/t", "/data/w/t"),
            ("/x/t", "/x/t"),
            ("file:/x/a b", "/x/a b"),
            ("file:///x/t", "/x/t"),
            ("FILE://localhost/x", "/x"),
        ] {
            assert_eq!(path_of(location, folder).unwrap(), Path::new(path), "{location}");
        }
        assert_eq!(path_of("hdfs://nn/x", folder).unwrap_err().code, Code::LocationForbidden);
        assert_eq!(path_of("dt=2024-01-01 10:00/x", folder).unwrap(), Path::new("/data/dt=2024-01-01 10:00/x"));
    }

    #[cfg(unix)]
    #[test]
    fn a_link_that_leads_outside_the_roots_is_forbidden() {
        let (inside, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::os::unix::fs::symlink(outside.path(), inside.path().join("link")).unwrap();
        std::fs::create_dir(inside.path().join("real")).unwrap();
        let roots = roots(inside.path());
        assert!(roots.resolve(&inside.path().join("real")).unwrap().exists);
        assert_eq!(roots.resolve(&inside.path().join("link")).unwrap_err().code, Code::LocationForbidden);
        assert_eq!(roots.resolve(&inside.path().join("real/../..")).unwrap_err().code, Code::LocationForbidden);
    }

    #[test]
    fn a_missing_folder_is_located_by_the_folder_around_it() {
        let folder = tempfile::tempdir().unwrap();
        let roots = roots(folder.path());
        assert!(!roots.resolve(&folder.path().join("t")).unwrap().exists);
        assert_eq!(roots.resolve(&folder.path().join("no/t")).unwrap_err().code, Code::SourceUnreadable);
    }
}

//! Where tables may lie: locations made absolute, links resolved, and held against the allowed roots.
//!
//! In: locations as descriptions write them. Out: [`Located`]. Not here: what lies there (`listing`).

use std::io;
use std::path::{Path, PathBuf};

use skein_protocol::connection::{HiveFiles, is_object};
use skein_protocol::data_plane::Failure;
use skein_protocol::problem::{Code, Problem};

use super::places::{self, Places};

/// The folders under which every location must lie, links resolved.
#[derive(Debug, Clone)]
pub(super) struct Roots {
    roots: Vec<PathBuf>,
    places: Places,
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
    pub(super) fn of(config: &HiveFiles, places: &Places) -> Self {
        let configured = if config.allowed_roots.is_empty() {
            std::slice::from_ref(&config.warehouse)
        } else {
            &config.allowed_roots
        };
        Self::under(configured, places)
    }

    /// These roots. One that does not exist holds nothing, so it allows nothing.
    pub(super) fn under(configured: &[String], places: &Places) -> Self {
        // A root in a store needs nobody's answer: it has no links, and whether anything is there is found out later.
        let root = |root: &String| {
            if is_object(root) { places::plain(root).ok() } else { Path::new(root).canonicalize().ok() }
        };
        Self { roots: configured.iter().filter_map(root).collect(), places: places.clone() }
    }

    /// The ways to look at what lies under them.
    pub(super) fn places(&self) -> &Places {
        &self.places
    }

    /// Whether the canonical `path` lies under a root.
    pub(super) fn hold(&self, path: &Path) -> bool {
        self.roots.iter().any(|root| path.starts_with(root))
    }

    /// Resolves `path`. What does not exist is located by its folder, which must exist.
    pub(super) fn resolve(&self, path: &Path) -> Result<Located, Problem> {
        let located = match self.places.canonical(path) {
            Ok(path) => Located { path, exists: true },
            Err(error) if error.kind() == io::ErrorKind::NotFound && places::object(path).is_some() => {
                let plain = path.to_str().and_then(|location| places::plain(location).ok());
                Located { path: plain.unwrap_or_else(|| path.to_owned()), exists: false }
            }
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

/// The place that a description's location means: absolute, a `file:` URI, in an object store, or relative to the description's
/// folder.
pub(super) fn path_of(location: &str, description_folder: &Path) -> Result<PathBuf, Problem> {
    match location.split_once(':') {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("file") => {
            // `file:/a`, `file:///a` and `file://localhost/a` all mean `/a`; Hadoop writes no percent escapes here.
            let rest = rest.strip_prefix("//localhost").unwrap_or(rest);
            Ok(PathBuf::from(format!("/{}", rest.trim_start_matches('/'))))
        }
        Some(_) if is_object(location) => {
            places::plain(location).map_err(|error| unreadable(Path::new(location), &error))
        }
        Some((scheme, _)) if is_scheme(scheme) => Err(Problem::new(
            Code::LocationForbidden,
            format!("The table lies at {location:?}"),
            format!("sources are local folders or lie in object stores, and {scheme}: is neither"),
            "Copy or mount the folder, and name it as the location",
        )),
        _ => Ok(description_folder.join(location)),
    }
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+.-".contains(&b))
}

/// A problem with a folder or file that the system does not let us read. A store that does not answer may do so later
/// ([`failure`]).
pub(super) fn unreadable(path: &Path, error: &io::Error) -> Problem {
    use io::ErrorKind::{InvalidInput, NotFound, PermissionDenied};
    if places::object(path).is_some() && !matches!(error.kind(), InvalidInput | NotFound | PermissionDenied) {
        let next = "Check that the store can be reached; it is tried again by itself";
        return Problem::new(Code::Io, format!("{} cannot be read", path.display()), error.to_string(), next);
    }
    Problem::new(
        Code::SourceUnreadable,
        format!("{} cannot be read", path.display()),
        error.to_string(),
        "Check that it exists and that the node's user may read it",
    )
}

/// The failure that a problem of a source is: what may pass is tried again.
pub(super) fn failure(problem: Problem) -> Failure {
    if problem.code == Code::Io { Failure::transient(problem) } else { Failure::permanent(problem) }
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
    use skein_protocol::data_plane::Class;

    fn roots(warehouse: &Path) -> Roots {
        let warehouse = warehouse.to_str().unwrap().to_owned();
        Roots::of(&HiveFiles::at(warehouse), &Places::local())
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
            ("s3a://bucket/w/t/", "s3://bucket/w/t"),
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
    fn a_store_that_does_not_answer_is_asked_again_and_what_is_not_there_is_not() {
        let place = Path::new("s3://bucket/w/t");
        let class = |place: &Path, kind: io::ErrorKind| failure(unreadable(place, &kind.into())).class;
        assert_eq!(class(place, io::ErrorKind::Other), Class::Transient);
        for kind in [io::ErrorKind::NotFound, io::ErrorKind::PermissionDenied] {
            assert_eq!(class(place, kind), Class::Permanent);
        }
        assert_eq!(class(Path::new("/w/t"), io::ErrorKind::Other), Class::Permanent);
    }

    #[test]
    fn a_missing_folder_is_located_by_the_folder_around_it() {
        let folder = tempfile::tempdir().unwrap();
        let roots = roots(folder.path());
        assert!(!roots.resolve(&folder.path().join("t")).unwrap().exists);
        assert_eq!(roots.resolve(&folder.path().join("no/t")).unwrap_err().code, Code::SourceUnreadable);
    }
}

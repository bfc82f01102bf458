//! Says which files are being read, so that a death can be laid at the right door.
//!
//! In: paths, before their files are decoded. Out: calls of whoever listens; nothing where nobody does.

use std::fmt;
use std::sync::Arc;

/// Called with the number of a reader and the file that it is about to read.
type Listener = dyn Fn(usize, &str) + Send + Sync;

/// Tells which files are being read.
#[derive(Clone, Default)]
pub struct Telling(Option<Arc<Listener>>);

impl Telling {
    /// Tells `listener`.
    pub(super) fn to(listener: impl Fn(usize, &str) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(listener)))
    }

    /// The reader of this number turns to the file at `path`. Readers beside each other have different numbers.
    pub(crate) fn reading(&self, reader: usize, path: &str) {
        if let Some(listener) = &self.0 {
            listener(reader, path);
        }
    }
}

impl fmt::Debug for Telling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Telling(to somebody)" } else { "Telling(to nobody)" })
    }
}

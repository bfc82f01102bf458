//! Nothing: the tests live in `suite/`.
//!
//! Real processes, independent readers, and the borders of the workspace.

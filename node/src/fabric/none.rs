//! The fabric of a world without one: opening it fails, and says so.

use std::io;
use std::sync::Arc;

use async_trait::async_trait;

use super::{Answering, Fabric, FabricSetup, Fabrics};

/// Opens nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoFabrics;

#[async_trait]
impl Fabrics for NoFabrics {
    async fn open(&self, setup: FabricSetup, _answering: Arc<dyn Answering>) -> io::Result<Arc<dyn Fabric>> {
        let why = format!("node-to-node calls at {} are not supported in this world", setup.listen);
        Err(io::Error::new(io::ErrorKind::Unsupported, why))
    }
}

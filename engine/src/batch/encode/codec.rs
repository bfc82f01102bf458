//! Compression: one zstd context for all pages of a batch, because setting one up costs as much as a page.

use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::{ParquetError, Result};

/// Compresses pages.
pub(crate) struct Codec {
    level: ZstdLevel,
    zstd: zstd::bulk::Compressor<'static>,
}

impl Codec {
    /// A codec of zstd's `level`.
    ///
    /// # Errors
    /// The level does not exist, or there is no memory for the context.
    pub(crate) fn new(level: u8) -> Result<Self> {
        let checked = ZstdLevel::try_new(i32::from(level))?;
        let zstd = zstd::bulk::Compressor::new(i32::from(level)).map_err(external)?;
        Ok(Self { level: checked, zstd })
    }

    /// What footers call this codec.
    pub(super) fn compression(&self) -> Compression {
        Compression::ZSTD(self.level)
    }

    /// `bytes` compressed.
    pub(super) fn compress(&mut self, bytes: &[u8]) -> Result<Vec<u8>> {
        let mut out = Vec::with_capacity(zstd::zstd_safe::compress_bound(bytes.len()));
        self.zstd.compress_to_buffer(bytes, &mut out).map_err(external)?;
        Ok(out)
    }
}

fn external(error: std::io::Error) -> ParquetError {
    ParquetError::External(Box::new(error))
}

impl std::fmt::Debug for Codec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Codec").field("level", &self.level).finish_non_exhaustive()
    }
}

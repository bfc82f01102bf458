//! `sample`: writes the sample warehouse and shows how far it is.

use std::io::{IsTerminal, Write};
use std::path::Path;

use anyhow::Result;
use skein_engine::sample::{Sample, write as write_sample};

/// Where nobody watches, a line is written after this many datasets.
const DATASETS_PER_LINE: u32 = 250;

/// Writes a sample warehouse unless it is there.
pub(crate) fn write(folder: &Path, datasets: u32, rows: u32) -> Result<()> {
    let terminal = std::io::stderr().is_terminal();
    let written = write_sample(folder, Sample { datasets, rows }, |done| {
        let mut out = std::io::stderr().lock();
        // Progress that cannot be shown is not worth a failure.
        let _ = match terminal {
            true => write!(out, "\r\u{1b}[K{done} of {datasets} datasets"),
            false if done % DATASETS_PER_LINE == 0 => writeln!(out, "{done} of {datasets} datasets"),
            false => Ok(()),
        };
    })?;
    if terminal && written {
        eprint!("\r\u{1b}[K");
    }
    let verb = if written { "written" } else { "there already" };
    eprintln!("{datasets} datasets of {rows} rows are {verb}: {}", folder.display());
    Ok(())
}

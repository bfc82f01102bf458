//! What people and programs see: tables, documents, colours, numbers.

use std::io::{IsTerminal, Write};

use anyhow::{Context, Result};
use serde::Serialize;
use skein_protocol::api::NodeRow;
use skein_protocol::ledger::{Phase, Standing};

use crate::args::Format;
pub(crate) use skein_protocol::shown::{bytes, number, seconds, shortened, time};

/// Prints a document in a form for programs; false when a table is wanted.
pub(crate) fn document(format: Format, value: &impl Serialize) -> Result<bool> {
    let text = match format {
        Format::Table => return Ok(false),
        Format::Json => serde_json::to_string_pretty(value)? + "\n",
        Format::Yaml => serde_yaml_ng::to_string(value).context("the answer has no YAML form")?,
    };
    print(&text)?;
    Ok(true)
}

/// Prints a document as one line of JSON: what programs read that follow something.
pub(crate) fn line(value: &impl Serialize) -> Result<()> {
    print(&(serde_json::to_string(value)? + "\n"))
}

/// Prints a text to standard output.
pub(crate) fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(())
}

/// True when the reader of standard output went away.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.chain().find_map(|cause| cause.downcast_ref::<std::io::Error>());
    io.is_some_and(|io| io.kind() == std::io::ErrorKind::BrokenPipe)
}

/// Prints an error to standard error.
pub(crate) fn error(error: &anyhow::Error) {
    let mut out = std::io::stderr().lock();
    let red = paint(std::io::stderr().is_terminal(), "31;1", "error");
    let _ = writeln!(out, "{red}: {error:#}");
}

fn paint(terminal: bool, code: &str, text: &str) -> String {
    let plain = !terminal || std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if plain { text.to_owned() } else { format!("\u{1b}[{code}m{text}\u{1b}[0m") }
}

/// A phase in its colour, on a terminal.
pub(crate) fn phase(phase: Phase, text: &str) -> String {
    let code = match phase {
        Phase::Committed => "32",
        Phase::Quarantined => "31",
        Phase::Paused | Phase::Approval => "33",
        Phase::Cancelled | Phase::RolledBack => "2",
        _ => "36",
    };
    paint(std::io::stdout().is_terminal(), code, text)
}

/// A text that stands out, on a terminal.
pub(crate) fn bold(text: &str) -> String {
    paint(std::io::stdout().is_terminal(), "1", text)
}

/// A table with aligned columns. Cells of columns whose head begins with `>` are aligned to the right.
#[derive(Debug)]
pub(crate) struct Table {
    heads: Vec<String>,
    right: Vec<bool>,
    rows: Vec<Vec<Cell>>,
}

/// A cell: its text, and the text with colours that stands for it.
#[derive(Debug, Clone)]
pub(crate) struct Cell {
    plain: String,
    shown: String,
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        let plain = text.into();
        Self { shown: plain.clone(), plain }
    }
}

impl Cell {
    /// A phase in its colour.
    pub(crate) fn phase(phase: Phase) -> Self {
        let plain = phase.as_str().to_owned();
        Self { shown: self::phase(phase, &plain), plain }
    }
}

impl Cell {
    /// A node's standing in its colour.
    pub(crate) fn standing(row: &NodeRow) -> Self {
        let plain = row.standing_word();
        let code = match row.standing {
            Standing::Active if row.draining => "33",
            Standing::Active => "32",
            Standing::Expired => "31",
            _ => "2",
        };
        Self { shown: paint(std::io::stdout().is_terminal(), code, plain), plain: plain.to_owned() }
    }
}

impl Table {
    /// An empty table.
    pub(crate) fn new(heads: &[&str]) -> Self {
        Self {
            heads: heads.iter().map(|head| head.trim_start_matches('>').to_owned()).collect(),
            right: heads.iter().map(|head| head.starts_with('>')).collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: Vec<Cell>) {
        self.rows.push(cells);
    }

    /// The table as text; nothing when it has no rows.
    pub(crate) fn render(&self) -> String {
        if self.rows.is_empty() {
            return String::new();
        }
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.plain.chars().count());
            cells.chain([self.heads[column].chars().count()]).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.heads.len()).map(width).collect();
        let mut text = String::new();
        let heads: Vec<Cell> = self.heads.iter().map(|head| Cell { plain: head.clone(), shown: bold(head) }).collect();
        for row in std::iter::once(&heads).chain(&self.rows) {
            let mut line = String::new();
            for (column, cell) in row.iter().enumerate() {
                let space = " ".repeat(widths[column] - cell.plain.chars().count());
                let gap = if column == 0 { "" } else { "  " };
                line.push_str(gap);
                if self.right[column] {
                    line.push_str(&space);
                    line.push_str(&cell.shown);
                } else {
                    line.push_str(&cell.shown);
                    line.push_str(&space);
                }
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_aligns_its_columns() {
        let mut table = Table::new(&["name", ">rows"]);
        table.row(vec!["a".into(), "1".into()]);
        table.row(vec!["longer".into(), "1,000".into()]);
        assert_eq!(table.render(), "name     rows\na           1\nlonger  1,000\n");
    }
}

//! What people and programs see: tables, documents, colours, numbers.

use std::io::{IsTerminal, Write};

use anyhow::{Context, Result};
use serde::Serialize;
use skein_protocol::api::NodeRow;
use skein_protocol::ledger::{Phase, Standing};

use crate::args::Format;

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

/// A number with separators between its thousands.
pub(crate) fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A text on one line of at most so many characters.
pub(crate) fn shortened(text: &str, most: usize) -> String {
    let mut short: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(most).collect();
    if text.chars().count() > most {
        short.pop();
        short.push('…');
    }
    short
}

/// Bytes with a unit.
pub(crate) fn bytes(bytes: u64) -> String {
    let mut unit = "B";
    let mut scaled = bytes;
    let mut rest = 0;
    for next in ["KiB", "MiB", "GiB", "TiB", "PiB"] {
        if scaled < 1024 {
            break;
        }
        rest = scaled % 1024;
        scaled /= 1024;
        unit = next;
    }
    if unit == "B" || scaled >= 100 {
        format!("{scaled} {unit}")
    } else {
        format!("{scaled}.{} {unit}", rest * 10 / 1024)
    }
}

/// Seconds as people say them.
pub(crate) fn seconds(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// A time in UTC, from milliseconds since 1970 (civil-from-days, H. Hinnant, "chrono-Compatible Low-Level Date Algorithms").
pub(crate) fn time(millis: u64) -> String {
    let seconds = millis / 1000;
    let days = i64::try_from(seconds / 86_400).unwrap_or(0) + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_shifted + 2) / 5 + 1;
    let month = if month_shifted < 10 { month_shifted + 3 } else { month_shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let of_day = seconds % 86_400;
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}Z", of_day / 3600, of_day % 3600 / 60, of_day % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_bytes_and_times_are_shown_as_people_write_them() {
        assert_eq!([number(0), number(999), number(1000), number(1_234_567)], ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([bytes(0), bytes(1023), bytes(1536), bytes(249 << 20)], ["0 B", "1023 B", "1.5 KiB", "249 MiB"]);
        assert_eq!(time(0), "1970-01-01 00:00:00Z");
        assert_eq!(time(951_827_696_000), "2000-02-29 12:34:56Z");
        assert_eq!([seconds(59), seconds(61), seconds(7260)], ["59 s", "1 min 1 s", "2 h 1 min"]);
    }

    #[test]
    fn a_table_aligns_its_columns() {
        let mut table = Table::new(&["name", ">rows"]);
        table.row(vec!["a".into(), "1".into()]);
        table.row(vec!["longer".into(), "1,000".into()]);
        assert_eq!(table.render(), "name     rows\na           1\nlonger  1,000\n");
    }
}

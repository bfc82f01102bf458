//! `report`: the evidence of one migration.

use anyhow::Result;
use skein_protocol::api::Report;
use skein_protocol::evidence::{RowSum, RuleCheck};

use crate::args::Format;
use crate::client::Client;
use crate::exit::Exit;
use crate::output::{self, Table};

pub(super) fn run(client: &Client, migration: &str, batches: bool, format: Format) -> Result<Exit> {
    let report: Report = client.get(&format!("/v1/migrations/{migration}/report"), &[])?;
    if !output::document(format, &report)? {
        output::print(&render(&report, batches))?;
    }
    Ok(Exit::Success)
}

/// A report for people.
pub(crate) fn render(report: &Report, batches: bool) -> String {
    let row = &report.migration.row;
    let mut text = format!("{} -> {}\n{}\n\n", output::bold(&row.dataset.to_string()), row.target, report.verdict);
    text.push_str(&format!("strategy  {}\n", report.strategy));
    for note in &report.notes {
        text.push_str(&format!("note      {note}\n"));
    }
    if let Some(difference) = &report.difference {
        text.push_str(&format!("\n{}\n  {difference}\n", output::bold("first difference")));
    }
    if let Some(table) = &report.table {
        text.push_str(&format!("\n{}\n", output::bold("evidence")));
        let mut sums = Table::new(&["ROWS", ">COUNT", "ROW128"]);
        let mut line = |name: &str, sum: &RowSum| {
            sums.row(vec![name.into(), output::number(sum.rows).into(), sum.sum.to_string().into()]);
        };
        line("source as read", &table.source);
        for removed in &table.removed {
            line(&format!("removed by {}", removed.rule), &removed.rows);
        }
        line("kept", &table.kept);
        line("target as expected", &table.expected);
        line("target read back", &table.found);
        text.push_str(&sums.render());
        text.push_str(&format!(
            "{} data files, {} compared byte for byte with the ledger's record; manifests say {} rows, the snapshot {}\n",
            table.files,
            table.files_compared,
            output::number(table.manifest_rows),
            output::number(table.summary_rows),
        ));
        let mut columns = Table::new(&["COLUMN", ">NULLS EXPECTED", ">NULLS FOUND"]);
        for column in &table.columns {
            let counts = [column.nulls_expected, column.nulls_found].map(output::number);
            let [expected, found] = counts;
            columns.row(vec![column.column.clone().into(), expected.into(), found.into()]);
        }
        text.push_str(&format!("\n{}", columns.render()));
        for check in table.partition_read.iter().chain(&table.checks) {
            text.push_str(&check_line(check));
        }
    }
    if batches {
        let mut table = Table::new(&["BATCH", ">READ", ">KEPT", ">WRITTEN", "ROW128 EXPECTED", "ROW128 FOUND"]);
        for (id, batch) in &report.batches {
            table.row(vec![
                id.clone().into(),
                output::number(batch.source.rows).into(),
                output::number(batch.kept.rows).into(),
                output::number(batch.found.rows).into(),
                batch.expected.sum.to_string().into(),
                batch.found.sum.to_string().into(),
            ]);
        }
        text.push_str(&format!("\n{}", table.render()));
        for (id, batch) in &report.batches {
            for rule in &batch.rules {
                text.push_str(&format!("{id}: {}", check_line(rule)));
            }
        }
    }
    if let Some(proof) = &report.outsider {
        text.push_str(&format!("\n{}\n{}\n", output::bold("to check with Spark on the legacy cluster"), proof.query));
        text.push_str(&format!("must give {} rows and the sum {}\n", output::number(proof.rows), proof.sum));
    }
    for hint in &report.readers {
        text.push_str(&format!("\n{}\n{}\n", output::bold(&format!("to read it with {}", hint.reader)), hint.command));
    }
    text.push_str(&format!("\nundo      {}\n", report.undo));
    text
}

fn check_line(check: &RuleCheck) -> String {
    let verdict = if check.holds { "holds" } else { "DOES NOT HOLD" };
    let found = if check.found.is_empty() { String::new() } else { format!(" ({})", check.found) };
    format!("{verdict}: {}: {}{found}\n", check.rule, check.checked)
}

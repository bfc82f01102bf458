//! The table of several runs, as Markdown.

use std::fmt::Write as _;

use super::outcome::Outcome;

/// The runs side by side, a column for each.
#[must_use]
pub fn table(outcomes: &[Outcome]) -> String {
    let mut text = String::from("| |");
    for outcome in outcomes {
        let _ = write!(text, " {} |", outcome.setting.name);
    }
    text.push_str("\n|---|");
    text.push_str(&"---:|".repeat(outcomes.len()));
    text.push('\n');
    for (what, cell) in ROWS {
        let _ = write!(text, "| {what} |");
        for outcome in outcomes {
            let _ = write!(text, " {} |", cell(outcome));
        }
        text.push('\n');
    }
    text
}

type Cell = fn(&Outcome) -> String;

const ROWS: &[(&str, Cell)] = &[
    ("nodes × slots", |o| format!("{} × {}", grouped(u64::from(o.setting.nodes)), o.setting.slots)),
    ("migrations, policies", |o| {
        format!("{}, {}", grouped(u64::from(o.setting.datasets)), grouped(u64::from(o.setting.policies)))
    }),
    ("batches", |o| grouped(o.batches)),
    ("makespan", |o| duration(o.makespan_millis)),
    ("lower bound: all work over all slots, or the longest way of one migration", |o| duration(o.bound_millis)),
    ("makespan over it (goal)", |o| {
        let met = if o.ratio() <= o.goal() { "" } else { " MISSED" };
        format!("**{:.3}** (≤ {:.2}){met}", o.ratio(), o.goal())
    }),
    ("makespan over the bound of the slots that live", |o| format!("{:.3}", o.living_ratio())),
    ("utilisation of the living slots", |o| format!("{:.1} %", o.utilisation * 100.0)),
    ("rows, copies dropped", |o| format!("{}, {}", grouped(o.rows), grouped(o.rows_dropped))),
    ("rows lost", |o| format!("**{}**", grouped(o.rows_lost))),
    ("nodes killed, sessions ended, leaders lost", |o| {
        format!("{}, {}, {}", grouped(o.killings.len() as u64), grouped(o.expired), o.elections)
    }),
    ("batches begun for nothing, slot time lost", |o| {
        format!("{}, {}", grouped(o.batches_lost), duration(o.lost_work_millis))
    }),
    ("migrations stolen, batches lent", |o| format!("{}, {}", grouped(o.steals), grouped(o.loans))),
    ("entries, refused as too late", |o| format!("{}, {}", grouped(o.entries), grouped(o.refused))),
    ("entries in the busiest second, slowest entry", |o| {
        format!("{}, {}", grouped(u64::from(o.busiest_second)), duration(o.slowest_entry_millis))
    }),
    ("processor time of the model, one core", |o| duration(o.cpu_millis)),
    ("memory of a migration: the model's own (goal ≤ 512 B)", |o| format!("{} B", grouped(o.model_bytes))),
    ("memory of a queued migration: the ledger's state", |o| measured(o, o.queued_bytes)),
    ("memory of a migration at the most: state, history and model", |o| measured(o, o.peak_bytes)),
    ("well", |o| if o.failures.is_empty() { "yes".to_owned() } else { o.failures.join("; ") }),
];

/// Resident memory says something about each migration only where there are many.
fn measured(outcome: &Outcome, bytes: u64) -> String {
    if outcome.setting.datasets < 50_000 { "–".to_owned() } else { format!("{} B", grouped(bytes)) }
}

/// Digits in groups of three.
pub(super) fn grouped(number: u64) -> String {
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

/// A time as people say it.
pub(super) fn duration(millis: u64) -> String {
    let seconds = millis / 1000;
    match seconds {
        0 => format!("{millis} ms"),
        1..600 => format!("{seconds}.{} s", millis % 1000 / 100),
        600..36_000 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", grouped(seconds / 3600), seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_times_are_said_as_people_say_them() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([40, 61_250, 3_601_000, 90_000_000].map(duration), ["40 ms", "61.2 s", "60 min 1 s", "25 h 0 min"]);
    }
}

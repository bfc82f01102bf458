//! `skein-sim report`: one page about a long run, for people who would rather look.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Args;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::run::{counted, known};
use super::{Summary, again};
use crate::{kinds, marks};

/// Bars of the histogram of durations.
const BARS: usize = 24;
/// Failing seeds that are listed.
const MOST_LISTED: usize = 200;

/// What the page is about.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The folder that `run --resume` filled; `hunt --resume` may have put its table there too.
    folder: PathBuf,
    /// The page; `report.html` in the folder, unless given.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Drawings of the scale model that are put into the page.
    #[arg(long)]
    drawing: Vec<PathBuf>,
}

/// Writes the page.
///
/// # Errors
/// When the folder has no seeds, or the page cannot be written.
pub fn main(arguments: &Arguments) -> Result<ExitCode> {
    let summaries = known(&arguments.folder)?;
    if summaries.is_empty() {
        bail!("{} has no seeds: fill it with `skein-sim run --seeds N --resume {0}`", arguments.folder.display());
    }
    let summaries: Vec<&Summary> = summaries.values().collect();
    let hunt = crate::hunt::results(&arguments.folder)?;
    let drawings: Vec<String> = arguments.drawing.iter().map(|path| drawing(path)).collect::<Result<_>>()?;
    let page = page(&summaries, &hunt, &drawings).into_string();
    let out = arguments.out.clone().unwrap_or_else(|| arguments.folder.join("report.html"));
    fs::write(&out, page).with_context(|| out.display().to_string())?;
    println!("{}", out.display());
    Ok(ExitCode::SUCCESS)
}

/// A drawing as it stands in a page: without what makes it a document.
fn drawing(path: &Path) -> Result<String> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let at = text.find("<svg").with_context(|| format!("{} is no SVG", path.display()))?;
    Ok(text[at..].to_owned())
}

fn page(summaries: &[&Summary], hunt: &[crate::hunt::Found], drawings: &[String]) -> Markup {
    let failed: Vec<&&Summary> = summaries.iter().filter(|summary| !summary.failures.is_empty()).collect();
    let sum = |of: fn(&Summary) -> u64| summaries.iter().map(|summary| of(summary)).sum::<u64>();
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "Skein: " (summaries.len()) " simulated fleets" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { "Simulated fleets" }
                p { "Each seed is one history of a fleet of real nodes in virtual time: first faults, then none, until everything has ended." }
                dl.tiles {
                    (tile("seeds", summaries.len() as u64))
                    (tile("failed", failed.len() as u64))
                    (tile("migrations", sum(|one| one.migrations as u64)))
                    (tile("ledger entries", sum(|one| one.entries)))
                    (tile("frames between nodes", sum(|one| one.frames)))
                    (tile("hours of virtual time", sum(|one| one.millis) / 3_600_000))
                    (tile("minutes of processor time", sum(|one| one.cpu_millis) / 60_000))
                }
                h2 { "Virtual seconds of a seed" }
                (histogram(summaries))
                h2 { "Failures" }
                @if failed.is_empty() { p { "No seed failed." } } @else {
                    ul { @for one in failed.iter().take(MOST_LISTED) {
                        li { code { (again(one.seed, "")) } ": " (one.failures.first().map_or("", String::as_str)) }
                    } }
                }
                h2 { "Faults that took effect" }
                (counts(&counted(summaries, &kinds::WANTED, |summary| &summary.inflicted)))
                h2 { "Situations that came up" }
                (counts(&counted(summaries, &marks::WANTED, |summary| &summary.marks)))
                @if !hunt.is_empty() {
                    h2 { "Known-bad variants" }
                    p { "Nodes with one mistake built in. A simulation that does not notice it is none." }
                    table {
                        thead { tr { th { "mistake" } th { "what it is" } th { "caught by" } th.number { "median of seeds" } } }
                        tbody { @for found in hunt { tr {
                            td { code { (found.defect) } } td { (found.sentence) } td { (found.caught_by) }
                            td.number { @match found.median { Some(median) => (median), None => strong { "not caught" } } }
                        } } }
                    }
                }
                @for drawing in drawings { figure { (PreEscaped(drawing)) } }
            }
        }
    }
}

fn tile(name: &str, number: u64) -> Markup {
    html! { div { dt { (name) } dd { (grouped(number)) } } }
}

/// A number with its thousands apart.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

fn counts(counts: &BTreeMap<&str, (u64, u64)>) -> Markup {
    let most = counts.values().map(|(_, seeds)| *seeds).max().unwrap_or(1).max(1);
    html! {
        table {
            thead { tr { th { "what" } th.number { "times" } th.number { "seeds" } th { "share of seeds" } } }
            tbody { @for (name, (times, seeds)) in counts { tr {
                td { (name) } td.number { (grouped(*times)) } td.number { (grouped(*seeds)) }
                td { meter min="0" max=(most) value=(seeds) { (seeds) " of " (most) } }
            } } }
        }
    }
}

/// Bars: how many seeds took how much virtual time.
fn histogram(summaries: &[&Summary]) -> Markup {
    let longest = summaries.iter().map(|one| one.millis).max().unwrap_or(1).max(1);
    let mut bars = [0_u64; BARS];
    for one in summaries {
        let bar = usize::try_from(one.millis * BARS as u64 / (longest + 1)).unwrap_or(0);
        bars[bar.min(BARS - 1)] += 1;
    }
    let most = bars.iter().max().copied().unwrap_or(1).max(1);
    html! {
        svg viewBox="0 0 720 170" role="img" aria-label="How many seeds took how many seconds of virtual time" {
            @for (place, bar) in bars.iter().enumerate() {
                @let height = bar * 130 / most;
                rect x=(place * 30 + 2) y=(140 - height) width="26" height=(height.max(u64::from(*bar > 0))) rx="2" {
                    title { (bar) " seeds" }
                }
            }
            text x="2" y="160" { "0" }
            text x="718" y="160" text-anchor="end" { (longest / 1000) " s" }
        }
    }
}

const STYLE: &str = "
:root { color-scheme: light dark; --line: light-dark(#d5d9e0, #3a404a); --mark: light-dark(#2f6fb3, #78aee6); }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1, h2 { line-height: 1.2; } h2 { margin-top: 2.5rem; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(10rem, 1fr)); gap: 1rem; }
.tiles div { border: 1px solid var(--line); border-radius: .5rem; padding: .6rem .9rem; }
dt { font-size: .85rem; opacity: .8; } dd { margin: 0; font-size: 1.6rem; font-variant-numeric: tabular-nums; }
table { border-collapse: collapse; width: 100%; } th, td { text-align: left; padding: .25rem .6rem; border-bottom: 1px solid var(--line); }
.number { text-align: right; font-variant-numeric: tabular-nums; } meter { width: 100%; }
svg { width: 100%; height: auto; } rect { fill: var(--mark); } svg text { fill: currentColor; font-size: 13px; }
code { font-size: .9em; } figure { margin: 2rem 0; }
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_names_every_failure_and_every_wanted_kind() {
        let mut failing = Summary::broken(7, "world: a row is lost <twice>".to_owned());
        failing.inflicted.insert("frame lost".to_owned(), 3);
        let fine = Summary { seed: 8, millis: 12_000, ..Summary::default() };
        let text = page(&[&failing, &fine], &[], &[]).into_string();
        assert!(text.contains("a row is lost &lt;twice&gt;") && text.contains("replay 7"), "{text}");
        assert!(kinds::WANTED.iter().chain(&marks::WANTED).all(|name| text.contains(*name)));
    }

    #[test]
    fn thousands_are_apart() {
        assert_eq!(grouped(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!(grouped(12), "12");
    }
}

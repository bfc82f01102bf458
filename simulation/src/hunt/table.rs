//! The hunt's table, as Markdown for people and as JSON for programs.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::json;

use super::pursuit::{Catch, Chase, Plan};
use super::trial::Subject;

/// Where results are kept, in the package's folder.
pub(super) const FOLDER: &str = "results";
const FOR_PEOPLE: &str = "hunt.md";
const FOR_PROGRAMS: &str = "hunt.json";

/// What an earlier hunt found about one defect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The defect's name.
    pub defect: String,
    /// What is wrong.
    pub sentence: String,
    /// What the first that caught it said; empty where nothing did.
    pub caught_by: String,
    /// Median number of seeds; `None` where half of the beginnings did not catch it.
    pub median: Option<u64>,
}

#[derive(Deserialize)]
struct Document {
    defects: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    name: String,
    sentence: String,
    median: Option<u64>,
    starts: Vec<Option<Caught>>,
    #[serde(default)]
    point: Option<Caught>,
}

#[derive(Deserialize)]
struct Caught {
    why: String,
}

/// What the hunt found whose results are in this folder; nothing where there are none.
///
/// # Errors
/// When the results do not read.
pub fn results(folder: &Path) -> Result<Vec<Found>> {
    let path = folder.join(FOR_PROGRAMS);
    if !path.exists() {
        return Ok(Vec::new());
    }
    let document: Document =
        serde_json::from_str(&std::fs::read_to_string(&path)?).with_context(|| path.display().to_string())?;
    let found = |row: Row| Found {
        caught_by: row.starts.into_iter().flatten().chain(row.point).map(|one| one.why).next().unwrap_or_default(),
        defect: row.name,
        sentence: row.sentence,
        median: row.median,
    };
    Ok(document.defects.into_iter().map(found).collect())
}

/// The table for people.
pub(super) fn markdown(chases: &[Chase], plan: &Plan) -> String {
    let caught = chases.iter().filter(|chase| chase.caught().next().is_some()).count();
    let mut text = format!(
        "# Known-bad variants and the seeds that catch them\n\n\
         {caught} of {} variants were caught. Each was hunted from {} beginnings with at most {} seeds; where the first of them \
         caught nothing, all crash points were tried. What fails without the defect does not count.\n\n\
         | variant | what is wrong | median seeds | beginnings | said by the first that caught it |\n|---|---|--:|--:|---|\n",
        chases.len(),
        plan.starts,
        plan.seeds,
    );
    for chase in chases {
        let median = chase.median().map_or_else(|| format!("> {}", plan.seeds), |median| median.to_string());
        let first = chase.caught().next();
        let said = first.map_or_else(
            || "–".to_owned(),
            |one| match &one.subject {
                Subject::Seed(seed) => format!("seed {seed}: {}", cell(&one.why)),
                Subject::Point(name) => format!("crash point {name}: {}", cell(&one.why)),
            },
        );
        let row = format!(
            "| `{}` | {} | {median} | {} of {} | {said} |",
            chase.known.name,
            chase.known.sentence,
            chase.starts.iter().flatten().count(),
            plan.starts
        );
        text.push_str(&row);
        text.push('\n');
    }
    text
}

fn json(catch: &Catch) -> serde_json::Value {
    json!({"by": catch.subject.to_string(), "tries": catch.tries, "why": catch.why})
}

fn cell(text: &str) -> String {
    let mut cell = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '|' => cell.push_str("\\|"),
            '<' => cell.push_str("&lt;"),
            other => cell.push(other),
        }
    }
    cell
}

/// Writes both.
pub(super) fn write(folder: &Path, chases: &[Chase], plan: &Plan) -> Result<()> {
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    std::fs::write(folder.join(FOR_PEOPLE), markdown(chases, plan))?;
    let rows: Vec<_> = chases
        .iter()
        .map(|chase| {
            let starts = chase.starts.iter().map(|start| start.as_ref().map(json));
            json!({
                "name": chase.known.name,
                "sentence": chase.known.sentence,
                "seenBy": chase.known.seen_by,
                "median": chase.median(),
                "starts": starts.collect::<Vec<_>>(),
                "point": chase.point.as_ref().map(json),
            })
        })
        .collect();
    let mut text = String::new();
    let document = json!({"seeds": plan.seeds, "starts": plan.starts, "defects": rows});
    writeln!(text, "{}", serde_json::to_string_pretty(&document)?)?;
    std::fs::write(folder.join(FOR_PROGRAMS), text)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::Known;
    use super::*;

    #[test]
    fn what_was_written_reads_back_and_a_folder_without_results_has_none() {
        let folder = std::env::temp_dir().join(format!("skein-hunt-{}", std::process::id()));
        assert_eq!(results(&folder).unwrap(), []);
        let known = Known { name: "some", sentence: "It is wrong.", seen_by: "a check" };
        let catch = Catch { subject: Subject::Seed(3), tries: 3, why: "rows <twice> | more".to_owned() };
        let chases = [Chase { known, starts: vec![None, Some(catch)], point: None }];
        let plan = &Plan { seeds: 9, starts: 2, jobs: 1, earlier: Vec::new() };
        write(&folder, &chases, plan).unwrap();
        let found = results(&folder).unwrap();
        assert!(markdown(&chases, plan).contains("rows &lt;twice> \\| more"));
        std::fs::remove_dir_all(&folder).unwrap();
        let (defect, sentence) = ("some".to_owned(), "It is wrong.".to_owned());
        assert_eq!(found, [Found { defect, sentence, caught_by: "rows <twice> | more".to_owned(), median: Some(3) }]);
    }
}

//! What a policy asks for, said a second time: computed from the source's rows alone, by nobody whom a node uses.
//!
//! In: the rows of a source. Out: the rows that the target must have. Holds: [`Recipe`], with the lines of a policy that
//! ask for it. Not here: what a data plane does with a plan (`rows`): nothing is shared with it but the cells themselves.

use std::collections::{BTreeMap, BTreeSet};

use super::cells::Cell;

/// Columns and rows of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents {
    /// The columns' names.
    pub columns: Vec<String>,
    /// The rows; a cell without text is null.
    pub rows: Vec<Vec<Cell>>,
}

/// What becomes of the rows of a source.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recipe {
    /// Only rows with at least so many plays stay; those without a number of plays do not.
    pub least_plays: Option<u64>,
    /// Rows that are equal to others go.
    pub drop_duplicates: bool,
    /// Of each artist the row with the greatest id stays. For sources without partitions: among rows with equal ids in
    /// different partitions nothing that a person wrote decides.
    pub keep_one: bool,
    /// Columns that the source has not, each with its value in all rows.
    pub add: Vec<(String, Cell)>,
    /// Columns that get another name: from, to.
    pub rename: Vec<(String, String)>,
}

impl Recipe {
    /// The lines of a policy's `spec` that ask for this, indented by two.
    #[must_use]
    pub fn spec(&self) -> String {
        let mut lines = String::new();
        if let Some(least) = self.least_plays {
            lines.push_str(&format!("  filter: plays >= {least}\n"));
        }
        let mut clean = Vec::new();
        if self.drop_duplicates {
            clean.push("{ dropDuplicates: exact }");
        }
        if self.keep_one {
            clean.push("{ keepOne: { key: [artist], orderBy: [{ column: id, direction: desc }] } }");
        }
        if !clean.is_empty() {
            lines.push_str(&format!("  clean: [{}]\n", clean.join(", ")));
        }
        let add = self.add.iter().map(|(name, value)| {
            let default = value.as_ref().map(|value| format!(", default: \"{value}\"")).unwrap_or_default();
            format!("{{ name: {name}, type: string{default} }}")
        });
        let rename = self.rename.iter().map(|(from, to)| format!("{{ from: {from}, to: {to} }}"));
        let (add, rename) = (add.collect::<Vec<_>>().join(", "), rename.collect::<Vec<_>>().join(", "));
        if !self.add.is_empty() || !self.rename.is_empty() {
            lines.push_str(&format!("  schema: {{ add: [{add}], rename: [{rename}] }}\n"));
        }
        lines
    }

    /// The target's columns and rows, rows sorted, of a source with these columns and rows.
    ///
    /// # Panics
    /// When the source lacks a column that the recipe speaks of.
    #[must_use]
    pub fn apply(&self, columns: &[String], rows: &[Vec<Cell>]) -> Contents {
        let place = |name: &str| {
            let found = columns.iter().position(|column| column == name);
            found.unwrap_or_else(|| panic!("a recipe speaks of the column {name}, which no scripted source lacks"))
        };
        let mut kept: Vec<Vec<Cell>> = rows.to_vec();
        if let Some(least) = self.least_plays {
            let plays = place("plays");
            kept.retain(|row| number(&row[plays]).is_some_and(|plays| plays >= least));
        }
        if self.drop_duplicates {
            kept = kept.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
        }
        if self.keep_one {
            let (artist, id) = (place("artist"), place("id"));
            let mut best: BTreeMap<Cell, Vec<Cell>> = BTreeMap::new();
            for row in kept {
                match best.get(&row[artist]) {
                    Some(known) if number(&known[id]) >= number(&row[id]) => {}
                    _ => {
                        best.insert(row[artist].clone(), row);
                    }
                }
            }
            kept = best.into_values().collect();
        }
        for row in &mut kept {
            row.extend(self.add.iter().map(|(_, value)| value.clone()));
        }
        kept.sort_unstable();
        let renamed = |name: &String| {
            let rule = self.rename.iter().find(|(from, _)| from == name);
            rule.map_or_else(|| name.clone(), |(_, to)| to.clone())
        };
        let columns = columns.iter().map(renamed).chain(self.add.iter().map(|(name, _)| name.clone())).collect();
        Contents { columns, rows: kept }
    }
}

fn number(cell: &Cell) -> Option<u64> {
    cell.as_ref().and_then(|text| text.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: u64, plays: Option<u64>, artist: u64) -> Vec<Cell> {
        vec![Some(id.to_string()), plays.map(|plays| plays.to_string()), Some(artist.to_string())]
    }

    fn columns() -> Vec<String> {
        ["id", "plays", "artist"].map(str::to_owned).to_vec()
    }

    #[test]
    fn each_rule_removes_what_it_says_and_nothing_else() {
        let rows =
            [row(9, Some(5), 1), row(10, Some(50), 1), row(10, Some(50), 1), row(3, None, 2), row(4, Some(7), 3)];
        let of = |recipe: Recipe| recipe.apply(&columns(), &rows).rows;
        assert_eq!(of(Recipe::default()).len(), 5);
        assert_eq!(of(Recipe { drop_duplicates: true, ..Recipe::default() }).len(), 4);
        let filtered = of(Recipe { least_plays: Some(7), ..Recipe::default() });
        assert_eq!(filtered, [row(10, Some(50), 1), row(10, Some(50), 1), row(4, Some(7), 3)]);
        let best = of(Recipe { keep_one: true, ..Recipe::default() });
        assert_eq!(best, [row(10, Some(50), 1), row(3, None, 2), row(4, Some(7), 3)], "ten is more than nine");
    }

    #[test]
    fn columns_are_renamed_and_added_behind_the_others() {
        let recipe = Recipe {
            add: vec![("note".to_owned(), Some("x".to_owned()))],
            rename: vec![("plays".to_owned(), "heard".to_owned())],
            ..Recipe::default()
        };
        let Contents { columns, rows } = recipe.apply(&columns(), &[row(1, None, 0)]);
        assert_eq!(columns, ["id", "heard", "artist", "note"]);
        assert_eq!(rows[0].last(), Some(&Some("x".to_owned())));
        assert!(recipe.spec().contains("from: plays, to: heard"), "{}", recipe.spec());
    }
}

//! Views: they hold no rows, so they are refused, with what is needed to make them anew by hand.
//!
//! In: what a description or a metastore says of a view. Out: a problem with its query and with the tables that it reads. Not
//! here: running or translating the query.

use std::collections::BTreeSet;

use datafusion::sql::parser::{DFParser, Statement};
use datafusion::sql::resolve::resolve_table_references;
use datafusion::sql::sqlparser::dialect::HiveDialect;
use skein_protocol::ids::TableName;
use skein_protocol::problem::Code;

use super::description::TableDescription;
use super::findings::Findings;

/// Where Spark keeps the database that was the current one when a view was made.
const SPARK_DATABASE: &str = "view.catalogAndNamespace.part.1";
/// Longest query that is read for its tables; it is shown whatever its length is.
const MAX_READ_BYTES: usize = 256 << 10;

/// Refuses a view.
pub(super) fn refuse(dataset: &TableName, view: &TableDescription, findings: &mut Findings) {
    let kind = view.kind.to_ascii_lowercase().replace('_', " ");
    if kind.contains("index") {
        return findings.problem(
            Code::NotATable,
            "It is an index of another table",
            "it holds nothing that its table does not",
            "Leave it out",
        );
    }
    let read = view.view_text.as_deref().and_then(|query| tables(dataset, view, query)).unwrap_or_default();
    let mut why = "it has no files of its own".to_owned();
    let mut next = "Migrate the tables that it reads, and create it anew over their targets".to_owned();
    if !read.is_empty() {
        let names = read.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        why.push_str(&format!("; it reads {names}"));
        next = format!("Migrate {names} first, then create the view anew over the targets, with the query above");
    }
    if let Some(query) = &view.view_text {
        why.push_str(&format!("; its query is: {query}"));
    }
    findings.problem(Code::NotATable, format!("It is a {kind}"), why, next);
}

/// The tables and views that a query names; none if it cannot be read.
fn tables(dataset: &TableName, view: &TableDescription, query: &str) -> Option<BTreeSet<TableName>> {
    if query.len() > MAX_READ_BYTES {
        return None;
    }
    let statements = DFParser::parse_sql_with_dialect(query, &HiveDialect {}).ok()?;
    let own = view.properties.get(SPARK_DATABASE).unwrap_or(&dataset.database);
    let mut names = BTreeSet::new();
    for statement in &statements {
        if !matches!(statement, Statement::Statement(_)) {
            return None;
        }
        // Names without quotes are lower case in Hive, and so are those with quotes.
        let (tables, _) = resolve_table_references(statement, true).ok()?;
        for table in tables {
            let database = table.schema().unwrap_or(own).to_lowercase();
            names.insert(TableName::new(database, table.table().to_lowercase()));
        }
    }
    Some(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(view: TableDescription) -> (String, String) {
        let dataset: TableName = "music.loud".parse().unwrap();
        let mut findings = Findings::new(&dataset);
        refuse(&dataset, &view, &mut findings);
        let (problems, _) = findings.finish();
        assert_eq!((problems.len(), problems[0].code), (1, Code::NotATable));
        (problems[0].why.clone(), problems[0].next.clone())
    }

    fn view(query: &str) -> TableDescription {
        TableDescription { kind: "VIRTUAL_VIEW".to_owned(), view_text: Some(query.to_owned()), ..Default::default() }
    }

    #[test]
    fn a_view_is_refused_with_its_query_and_what_it_reads() {
        let query = "WITH w AS (SELECT id FROM Plays) SELECT w.id FROM w JOIN `Other`.`Towns` t ON t.id = w.id";
        let (why, next) = refused(view(query));
        assert!(why.contains("it reads music.plays, other.towns; its query is: WITH w"), "{why}");
        assert!(next.starts_with("Migrate music.plays, other.towns first"), "{next}");
    }

    #[test]
    fn names_without_a_database_belong_to_the_one_that_was_current() {
        let mut view = view("SELECT * FROM plays LATERAL VIEW explode(tags) t AS tag");
        view.properties.insert(SPARK_DATABASE.to_owned(), "Radio".to_owned());
        assert!(refused(view).0.contains("it reads radio.plays;"));
    }

    #[test]
    fn a_query_that_cannot_be_read_is_shown_all_the_same() {
        let (why, next) = refused(view("SELECT ((("));
        assert!(why.ends_with("no files of its own; its query is: SELECT ((("), "{why}");
        assert!(next.starts_with("Migrate the tables that it reads"), "{next}");
        let index = TableDescription { kind: "INDEX_TABLE".to_owned(), ..Default::default() };
        assert_eq!(refused(index).1, "Leave it out");
    }
}

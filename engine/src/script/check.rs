//! The policy's SQL checks: expressions over all rows of a staged table that must be true.
//!
//! In: checks, the table's record batches. Out: a verdict each. One pass over the table answers all of them.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType as ArrowType, SchemaRef};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::error::DataFusionError;
use skein_protocol::data_plane::Failure;
use skein_protocol::evidence::RuleCheck;
use skein_protocol::plan::SqlCheck;

use super::run::failed;
use super::session::script_session;
use super::stream::{self, Batches};

/// What the table is called in the query.
const TABLE: &str = "target";

/// Evaluates `checks` over the table that `open` reads, whose batches have `schema`.
///
/// # Errors
/// The table cannot be read, memory does not suffice. A check that cannot be evaluated does not hold, and says why.
pub async fn check_sql(
    checks: &[SqlCheck],
    schema: &SchemaRef,
    open: Arc<dyn Fn() -> Result<Batches, Failure> + Send + Sync>,
    memory_bytes: usize,
) -> Result<Vec<RuleCheck>, Failure> {
    if checks.is_empty() {
        return Ok(Vec::new());
    }
    let all: Vec<&SqlCheck> = checks.iter().collect();
    match answers(&all, schema, &open, memory_bytes).await {
        Ok(row) => Ok(checks.iter().zip(row).map(|(check, answer)| verdict(check, answer)).collect()),
        Err(error) if stream::failure_in(&error).is_some() => Err(failed("the checks of the policy", &error)),
        Err(_) => {
            // One of them fails; each by itself tells which.
            let mut verdicts = Vec::new();
            for check in checks {
                let answer = answers(&[check], schema, &open, memory_bytes).await;
                let answer = answer.map(|mut row| row.pop()).map_err(|error| error.strip_backtrace());
                verdicts.push(match answer {
                    Ok(Some(answer)) => verdict(check, answer),
                    Ok(None) => verdict(check, Err("it has no value".to_owned())),
                    Err(why) => verdict(check, Err(why)),
                });
            }
            Ok(verdicts)
        }
    }
}

type Answer = Result<bool, String>;

async fn answers(
    checks: &[&SqlCheck],
    schema: &SchemaRef,
    open: &Arc<dyn Fn() -> Result<Batches, Failure> + Send + Sync>,
    memory_bytes: usize,
) -> Result<Vec<Answer>, DataFusionError> {
    let session = script_session(memory_bytes)?;
    session.register_table(TABLE, Arc::new(stream::table(schema, Arc::clone(open))?))?;
    let terms: Vec<String> =
        checks.iter().enumerate().map(|(at, check)| format!("({}) AS \"check{at}\"", check.sql)).collect();
    let batches = session.sql(&format!("SELECT {} FROM {TABLE}", terms.join(", "))).await?.collect().await?;
    let rows: Vec<&RecordBatch> = batches.iter().filter(|batch| batch.num_rows() > 0).collect();
    match rows.as_slice() {
        [row] if row.num_rows() == 1 => Ok(row.columns().iter().map(answer).collect()),
        _ => Ok(vec![Err("it is not about the whole table: it has a value for each row".to_owned()); checks.len()]),
    }
}

fn answer(column: &ArrayRef) -> Answer {
    match column.data_type() {
        ArrowType::Boolean if column.is_valid(0) => Ok(column.as_boolean().value(0)),
        ArrowType::Boolean | ArrowType::Null => Err("null".to_owned()),
        other => {
            let text = ArrayFormatter::try_new(column, &FormatOptions::default())
                .map(|formatter| formatter.value(0).to_string());
            Err(format!("{} ({other}), neither true nor false", text.unwrap_or_default()))
        }
    }
}

fn verdict(check: &SqlCheck, answer: Answer) -> RuleCheck {
    RuleCheck {
        rule: check.name.clone(),
        checked: check.sql.clone(),
        holds: answer == Ok(true),
        found: match answer {
            Ok(holds) => holds.to_string(),
            Err(why) => why,
        },
    }
}

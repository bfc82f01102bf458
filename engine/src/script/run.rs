//! Runs a script from its first statement to its last.
//!
//! In: a script's text. Out: the table `target` that it makes, and the answers of its checks.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::error::DataFusionError;
use datafusion::prelude::SessionContext;
use datafusion::sql::parser::{DFParser, Statement};
use datafusion::sql::sqlparser::ast::Statement as SqlStatement;
use skein_protocol::data_plane::Failure;
use skein_protocol::problem::{Code, Problem};

use super::session::script_session;
use super::stream::failure_in;

/// The table that a script makes.
const TARGET: &str = "target";

/// What a script has made and found.
#[derive(Debug, Clone)]
pub struct ScriptOutcome {
    /// The columns of the table `target`.
    pub schema: SchemaRef,
    /// The rows of the table `target`.
    pub target: Vec<RecordBatch>,
    /// The answer of each `SELECT`, in the order of the script.
    pub checks: Vec<Vec<RecordBatch>>,
}

/// Runs `sql` statement after statement in a session of its own. The table `target` is held in memory: scripts are the
/// plan in another form, for people and for comparison, and not the way in which data is moved.
///
/// # Errors
/// A statement is not understood or fails; no table `target` is made.
pub async fn run_script(sql: &str, memory_bytes: usize) -> Result<ScriptOutcome, Failure> {
    let session = script_session(memory_bytes).map_err(|error| failed("starting", &error))?;
    let statements = DFParser::parse_sql(sql).map_err(|error| failed("reading the script", &error))?;
    let mut checks = Vec::new();
    for statement in statements {
        let text = statement.to_string();
        let is_query =
            matches!(&statement, Statement::Statement(statement) if matches!(**statement, SqlStatement::Query(_)));
        let answer = run(&session, statement).await.map_err(|error| failed(&text, &error))?;
        if is_query {
            checks.push(answer);
        }
    }
    let target =
        session.table(TARGET).await.map_err(|error| failed("looking for the table that the script makes", &error))?;
    let schema = SchemaRef::new(target.schema().as_arrow().clone());
    let target = target.collect().await.map_err(|error| failed("reading the table that the script makes", &error))?;
    Ok(ScriptOutcome { schema, target, checks })
}

async fn run(session: &SessionContext, statement: Statement) -> Result<Vec<RecordBatch>, DataFusionError> {
    let plan = session.state().statement_to_plan(statement).await?;
    session.execute_logical_plan(plan).await?.collect().await
}

/// The failure behind an error of DataFusion, while doing `what`.
pub(super) fn failed(what: &str, error: &DataFusionError) -> Failure {
    failure_in(error).unwrap_or_else(|| {
        let code = if matches!(error.find_root(), DataFusionError::ResourcesExhausted(_)) {
            Code::MemoryExceeded
        } else {
            Code::ExpressionFailed
        };
        let next = "Correct the expression in the policy that it comes from";
        Failure::permanent(Problem::new(code, format!("SQL: {what}"), error.strip_backtrace(), next))
    })
}

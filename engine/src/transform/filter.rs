//! The row filter: an SQL expression of the policy, compiled once and applied to batches.
//!
//! In: SQL whose form the policy's checks allowed, batches. Out: masks. Not here: what is allowed (`protocol::policy`).

use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray, RecordBatch};
use arrow::compute::prep_null_mask_filter;
use arrow::datatypes::{DataType as ArrowType, SchemaRef};
use datafusion::common::DFSchema;
use datafusion::error::Result as SqlResult;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::physical_expr::PhysicalExpr;

use super::error::TransformError;
use super::session::base_session;

/// An expression that says which rows are kept.
#[derive(Debug, Clone)]
pub struct RowFilter {
    rule: String,
    expression: Arc<dyn PhysicalExpr>,
}

impl RowFilter {
    /// Compiles `sql` over the columns of `schema`; `rule` names it in errors.
    ///
    /// # Errors
    /// It is no boolean expression over these columns.
    pub fn new(rule: &str, sql: &str, schema: &SchemaRef) -> Result<Self, TransformError> {
        let refused = |why: String| TransformError::Expression { rule: rule.to_owned(), why, row: None };
        let expression = compile(sql, schema).map_err(|error| refused(error.strip_backtrace()))?;
        match expression.data_type(schema) {
            Ok(ArrowType::Boolean | ArrowType::Null) => Ok(Self { rule: rule.to_owned(), expression }),
            Ok(other) => Err(refused(format!("its value is {other}, not true or false"))),
            Err(error) => Err(refused(error.strip_backtrace())),
        }
    }

    /// Which rows of `batch` are kept: true where the expression is true, false where it is false or null.
    ///
    /// # Errors
    /// The expression fails on a row (a division by zero, an overflow); the error says on which.
    pub fn mask(&self, batch: &RecordBatch) -> Result<BooleanArray, TransformError> {
        match self.evaluate(batch) {
            Ok(mask) => Ok(mask),
            Err(error) => Err(TransformError::Expression {
                rule: self.rule.clone(),
                why: error.strip_backtrace(),
                // Only now one by one: it failed anyway.
                row: (0..batch.num_rows()).find(|row| self.evaluate(&batch.slice(*row, 1)).is_err()),
            }),
        }
    }

    fn evaluate(&self, batch: &RecordBatch) -> SqlResult<BooleanArray> {
        let values = self.expression.evaluate(batch)?.into_array(batch.num_rows())?;
        Ok(match values.as_boolean_opt() {
            Some(mask) if mask.null_count() == 0 => mask.clone(),
            Some(mask) => prep_null_mask_filter(mask),
            // The type is `null` if it is not boolean: nothing is kept.
            None => BooleanArray::from(vec![false; batch.num_rows()]),
        })
    }
}

fn compile(sql: &str, schema: &SchemaRef) -> SqlResult<Arc<dyn PhysicalExpr>> {
    let columns = DFSchema::try_from(Arc::clone(schema))?;
    let session = base_session();
    let parsed = session.parse_sql_expr(sql, &columns)?;
    let context = SimplifyContext::builder().with_schema(Arc::new(columns.clone()));
    let context = context.with_config_options(Arc::clone(session.state().config_options())).build();
    let simplifier = ExprSimplifier::new(context);
    // Statements are simplified on their way as well, and some functions (coalesce) work in their simplified form only.
    let simplified = simplifier.simplify(simplifier.coerce(parsed, &columns)?)?;
    session.create_physical_expr(simplified, &columns)
}

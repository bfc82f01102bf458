//! The functions that expressions may call.
//!
//! Each gives the same value for the same arguments, today and tomorrow, on every node: that is what a batch
//! that runs twice needs. Functions that could blow a short text up to gigabytes (`repeat`, `lpad`) are left out.

use super::shape::Shape;

/// A scalar function.
#[derive(Debug)]
pub(super) struct Function {
    /// Lower-case name, as DataFusion knows it.
    pub(super) name: &'static str,
    /// Fewest arguments.
    pub(super) least: usize,
    /// Most arguments.
    pub(super) most: usize,
    pub(super) returns: Returns,
}

/// What a function's value is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Returns {
    Always(Shape),
    /// What its arguments are.
    Arguments,
}

/// Aggregates, for checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Aggregate {
    Count,
    /// Rendered as a `count` over a `CASE`: the name is not known everywhere.
    CountIf,
    Sum,
    Min,
    Max,
    Avg,
    BoolAnd,
    BoolOr,
}

/// Most arguments of functions that take any number.
const MANY: usize = 64;

const fn function(name: &'static str, least: usize, most: usize, shape: Shape) -> Function {
    Function { name, least, most, returns: Returns::Always(shape) }
}

const fn passing(name: &'static str, least: usize, most: usize) -> Function {
    Function { name, least, most, returns: Returns::Arguments }
}

static FUNCTIONS: &[Function] = &[
    // Texts.
    function("lower", 1, 1, Shape::Text),
    function("upper", 1, 1, Shape::Text),
    function("initcap", 1, 1, Shape::Text),
    function("btrim", 1, 2, Shape::Text),
    function("ltrim", 1, 2, Shape::Text),
    function("rtrim", 1, 2, Shape::Text),
    function("substr", 2, 3, Shape::Text),
    function("left", 2, 2, Shape::Text),
    function("right", 2, 2, Shape::Text),
    function("reverse", 1, 1, Shape::Text),
    function("replace", 3, 3, Shape::Text),
    function("translate", 3, 3, Shape::Text),
    function("split_part", 3, 3, Shape::Text),
    function("concat", 1, MANY, Shape::Text),
    function("concat_ws", 2, MANY, Shape::Text),
    function("length", 1, 1, Shape::Number),
    function("char_length", 1, 1, Shape::Number),
    function("octet_length", 1, 1, Shape::Number),
    function("strpos", 2, 2, Shape::Number),
    function("starts_with", 2, 2, Shape::Boolean),
    function("ends_with", 2, 2, Shape::Boolean),
    function("contains", 2, 2, Shape::Boolean),
    function("regexp_like", 2, 3, Shape::Boolean),
    function("regexp_replace", 3, 4, Shape::Text),
    function("regexp_count", 2, 4, Shape::Number),
    // Nulls and choices.
    passing("coalesce", 1, MANY),
    passing("nullif", 2, 2),
    passing("greatest", 1, MANY),
    passing("least", 1, MANY),
    // Numbers.
    function("abs", 1, 1, Shape::Number),
    function("round", 1, 2, Shape::Number),
    function("trunc", 1, 2, Shape::Number),
    function("floor", 1, 1, Shape::Number),
    function("ceil", 1, 1, Shape::Number),
    function("signum", 1, 1, Shape::Number),
    function("isnan", 1, 1, Shape::Boolean),
    // Times.
    function("date_trunc", 2, 2, Shape::Time),
    function("date_part", 2, 2, Shape::Number),
    function("make_date", 3, 3, Shape::Time),
    function("to_date", 1, 2, Shape::Time),
    function("to_timestamp", 1, 2, Shape::Time),
    function("to_timestamp_seconds", 1, 2, Shape::Time),
    function("to_timestamp_millis", 1, 2, Shape::Time),
    function("to_timestamp_micros", 1, 2, Shape::Time),
    function("from_unixtime", 1, 1, Shape::Time),
    function("to_unixtime", 1, 2, Shape::Number),
    // Arrays and maps.
    function("cardinality", 1, 1, Shape::Number),
    function("array_has", 2, 2, Shape::Boolean),
];

/// Other names of the same functions, with the same arguments.
const ALIASES: &[(&str, &str)] = &[
    ("character_length", "char_length"),
    ("instr", "strpos"),
    ("nvl", "coalesce"),
    ("ifnull", "coalesce"),
    ("ceiling", "ceil"),
    ("trim", "btrim"),
    ("substring", "substr"),
    ("array_contains", "array_has"),
];

/// Forms that look like functions and become something else on the way.
const FORMS: &[&str] = &["extract", "if", "year", "month", "day", "hour", "minute", "second"];

const AGGREGATES: &[(&str, Aggregate)] = &[
    ("count", Aggregate::Count),
    ("count_if", Aggregate::CountIf),
    ("sum", Aggregate::Sum),
    ("min", Aggregate::Min),
    ("max", Aggregate::Max),
    ("avg", Aggregate::Avg),
    ("bool_and", Aggregate::BoolAnd),
    ("bool_or", Aggregate::BoolOr),
];

/// Functions that people ask for and that give another value at each run.
const UNSTABLE: &[&str] = &[
    "now",
    "current_date",
    "current_time",
    "current_timestamp",
    "localtime",
    "localtimestamp",
    "unix_timestamp",
    "random",
    "rand",
    "uuid",
    "user",
    "current_user",
    "session_user",
    "version",
];

/// Units that `date_trunc`, `date_part` and `extract` know.
pub(super) const TIME_UNITS: &[&str] = &[
    "year",
    "quarter",
    "month",
    "week",
    "day",
    "dow",
    "doy",
    "hour",
    "minute",
    "second",
    "millisecond",
    "microsecond",
    "epoch",
];

/// The functions that expressions may call, by name.
pub fn function_names() -> impl Iterator<Item = &'static str> {
    let aliases = ALIASES.iter().map(|(alias, _)| *alias);
    FUNCTIONS.iter().map(|function| function.name).chain(aliases).chain(FORMS.iter().copied())
}

/// The aggregates that checks may call, by name.
pub fn aggregate_names() -> impl Iterator<Item = &'static str> {
    AGGREGATES.iter().map(|(name, _)| *name)
}

/// The function called `name` (in lower case), if it is allowed.
pub(super) fn function_named(name: &str) -> Option<&'static Function> {
    let name = ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name, |(_, function)| function);
    FUNCTIONS.iter().find(|function| function.name == name)
}

/// The aggregate called `name` (in lower case), if it is one.
pub(super) fn aggregate_named(name: &str) -> Option<Aggregate> {
    AGGREGATES.iter().find(|(known, _)| *known == name).map(|(_, aggregate)| *aggregate)
}

/// True for functions that are refused because their value changes.
pub(super) fn is_unstable(name: &str) -> bool {
    UNSTABLE.contains(&name)
}

impl Aggregate {
    /// The name in SQL.
    pub(super) fn sql(self) -> &'static str {
        match self {
            Self::Count | Self::CountIf => "count",
            Self::Sum => "sum",
            Self::Min => "min",
            Self::Max => "max",
            Self::Avg => "avg",
            Self::BoolAnd => "bool_and",
            Self::BoolOr => "bool_or",
        }
    }

    /// True when its argument is a truth value.
    pub(super) fn takes_boolean(self) -> bool {
        matches!(self, Self::CountIf | Self::BoolAnd | Self::BoolOr)
    }
}

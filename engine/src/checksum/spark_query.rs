//! The query with which an outsider recomputes `spark64` on the legacy cluster, in Spark SQL 3.3 or later.
//!
//! In: a table's name, its columns and their types. Out: SQL.
//!
//! Spark refuses to hash maps (equal maps may hold their entries in different orders), so each map, at
//! whatever depth, is replaced by the array of its entries, sorted. `char` columns are trimmed: whether
//! they come padded depends on the reader.

use skein_protocol::types::DataType;

/// The query that gives the rows and the `spark64` sum of `database.table` over `columns` (names and types),
/// in this order. `None` without columns: Spark hashes at least one.
#[must_use]
pub fn spark_query<'a>(
    database: &str,
    table: &str,
    columns: impl IntoIterator<Item = (&'a str, &'a DataType)>,
) -> Option<String> {
    let hashed: Vec<String> = columns
        .into_iter()
        .map(|(name, data_type)| match data_type {
            DataType::Char { .. } => format!("rtrim({})", quoted(name)),
            _ => hashable(&quoted(name), data_type, 0),
        })
        .collect();
    if hashed.is_empty() {
        return None;
    }
    let columns = hashed.join(",\n    ");
    let from = format!("{}.{}", quoted(database), quoted(table));
    Some(format!(
        "SELECT count(*) AS `rows`, coalesce(sum(cast(xxhash64(\n    {columns}\n  ) AS decimal(38,0))), 0) AS `sum`\n\
         FROM {from}"
    ))
}

fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

fn has_map(data_type: &DataType) -> bool {
    match data_type {
        DataType::Map(..) => true,
        DataType::Array(item) => has_map(item),
        DataType::Struct(fields) => fields.iter().any(|field| has_map(&field.data_type)),
        _ => false,
    }
}

/// `value` without maps. `depth` keeps the names of nested lambda variables apart.
fn hashable(value: &str, data_type: &DataType, depth: usize) -> String {
    let inner = format!("x{depth}");
    match data_type {
        DataType::Map(key, item) if has_map(key) || has_map(item) => {
            let key = hashable(&format!("{inner}.key"), key, depth + 1);
            let item = hashable(&format!("{inner}.value"), item, depth + 1);
            format!("sort_array(transform(map_entries({value}), {inner} -> struct({key}, {item})))")
        }
        DataType::Map(..) => format!("sort_array(map_entries({value}))"),
        DataType::Array(item) if has_map(item) => {
            format!("transform({value}, {inner} -> {})", hashable(&inner, item, depth + 1))
        }
        DataType::Struct(fields) if fields.iter().any(|field| has_map(&field.data_type)) => {
            let parts = fields.iter().map(|field| {
                let part = format!("{value}.{}", quoted(&field.name));
                hashable(&part, &field.data_type, depth)
            });
            let parts: Vec<String> = parts.collect();
            // A null struct stays null: as an entry of a map, it sorts before a struct of nulls.
            format!("if({value} IS NULL, NULL, struct({}))", parts.join(", "))
        }
        _ => value.to_owned(),
    }
}

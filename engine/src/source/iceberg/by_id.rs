//! A Parquet file's columns under the names that an Iceberg table has for them: found by field ids, at every depth.
//!
//! In: the table's fields, a file's columns. Out: [`Matched`], the file's columns renamed, so that everything after this finds them by
//! name. A file without ids is read by the table's name mapping. Not here: conversions (`adapter`), values of columns that a file
//! lacks (`values`).

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::datatypes::{DataType as ArrowType, Field, FieldRef, Fields, TimeUnit};
use parquet::arrow::PARQUET_FIELD_ID_META_KEY;
use skein_protocol::inspection::{IcebergField, IcebergFormat, SourceColumn};
use skein_protocol::types::DataType;

use super::super::calendar::WriterCalendar;
use super::super::file_schema::FileSchema;

/// A file's columns by the table's names.
#[derive(Debug)]
pub(in crate::source) struct Matched {
    /// The file's columns, position by position. Those that the table has no longer have names that nothing is called.
    pub(in crate::source) schema: FileSchema,
    /// Ids of the table's fields that the file lacks; parts of a field that is not there are not told.
    pub(in crate::source) missing: Vec<i32>,
}

/// How a file's fields are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Ids,
    Names,
}

/// Dates and times of Iceberg's files are those of the proleptic calendar in UTC, whoever wrote them.
pub(in crate::source) fn calendar() -> WriterCalendar {
    WriterCalendar { julian_dates: false, julian_timestamps: false, julian_int96: false, int96_zone: None }
}

/// What stands in a file for the columns that it lacks: the partition's values, then the fields' defaults. Null for all others.
pub(in crate::source) fn values(
    format: &IcebergFormat,
    columns: &[SourceColumn],
    path: &str,
) -> BTreeMap<String, String> {
    let defaults = columns.iter().zip(&format.fields);
    let mut values: BTreeMap<String, String> =
        defaults.filter_map(|(column, field)| Some((column.name.clone(), field.initial_default.clone()?))).collect();
    for (name, value) in format.partition_values.get(path).into_iter().flatten() {
        match value {
            Some(text) => values.insert(name.clone(), text.clone()),
            None => values.remove(name),
        };
    }
    values
}

/// Finds the table's columns in a file; an error says why they cannot be told.
pub(in crate::source) fn matched(
    columns: &[SourceColumn],
    fields: &[IcebergField],
    file: &FileSchema,
) -> Result<Matched, String> {
    let by = if file.fields.iter().any(has_ids) { By::Ids } else { By::Names };
    if by == By::Names && !fields.iter().any(|field| !field.names.is_empty()) && !file.fields.is_empty() {
        return Err("its columns have no field ids, and the table has no name mapping that could tell them".to_owned());
    }
    let described: Vec<(&IcebergField, &str, &DataType)> =
        fields.iter().zip(columns).map(|(field, column)| (field, column.name.as_str(), &column.data_type)).collect();
    let mut finding = Finding { by, int96: false, missing: Vec::new() };
    let mut next = 0;
    let renamed = finding.children(&file.fields, &described, |finding| {
        finding.int96 = file.has_int96[next];
        next += 1;
    })?;
    let schema = FileSchema { fields: renamed, has_int96: file.has_int96.clone() };
    Ok(Matched { schema, missing: finding.missing })
}

fn id_of(field: &Field) -> Option<i32> {
    field.metadata().get(PARQUET_FIELD_ID_META_KEY)?.parse().ok()
}

fn has_ids(field: &FieldRef) -> bool {
    id_of(field).is_some()
        || match field.data_type() {
            ArrowType::List(element) => has_ids(element),
            ArrowType::Map(entries, _) => has_ids(entries),
            ArrowType::Struct(fields) => fields.iter().any(has_ids),
            _ => false,
        }
}

struct Finding {
    by: By,
    /// Whether the top-level column that is looked at holds INT96 times.
    int96: bool,
    missing: Vec<i32>,
}

impl Finding {
    /// The fields of a struct, or a file's columns; `each` is told before one is looked at.
    fn children(
        &mut self,
        fields: &Fields,
        described: &[(&IcebergField, &str, &DataType)],
        mut each: impl FnMut(&mut Self),
    ) -> Result<Fields, String> {
        let mut known: HashMap<i32, &str> = HashMap::new();
        let mut renamed = Vec::with_capacity(fields.len());
        for (position, field) in fields.iter().enumerate() {
            each(self);
            let found = match self.by {
                By::Ids => {
                    let id = id_of(field).ok_or_else(|| format!("field {:?} has no id, others do", field.name()))?;
                    described.iter().find(|(known, _, _)| known.id == id)
                }
                By::Names => described.iter().find(|(known, _, _)| known.names.contains(field.name())),
            };
            renamed.push(match found {
                Some((one, name, data_type)) => {
                    if let Some(other) = known.insert(one.id, field.name()) {
                        return Err(format!("fields {other:?} and {:?} are both number {}", field.name(), one.id));
                    }
                    let inner = self.within(field.data_type(), one, data_type);
                    marked(name, inner.map_err(|why| format!("field {:?}: {why}", field.name()))?, field)
                }
                // No name of a column or field begins with this.
                None => marked(&format!("\0{position}"), field.data_type().clone(), field),
            });
        }
        self.missing.extend(described.iter().map(|(field, _, _)| field.id).filter(|id| !known.contains_key(id)));
        Ok(renamed.into())
    }

    /// A file's type with the names that the table has for its parts.
    fn within(&mut self, from: &ArrowType, field: &IcebergField, to: &DataType) -> Result<ArrowType, String> {
        Ok(match (from, to) {
            (ArrowType::Struct(fields), DataType::Struct(inner)) => {
                let described: Vec<(&IcebergField, &str, &DataType)> = field
                    .parts
                    .iter()
                    .zip(inner)
                    .map(|(part, inner)| (part, inner.name.as_str(), &inner.data_type))
                    .collect();
                ArrowType::Struct(self.children(fields, &described, |_| {})?)
            }
            (ArrowType::List(element), DataType::Array(inner)) => {
                ArrowType::List(self.only(element, field.parts.first(), inner)?)
            }
            (ArrowType::Map(entries, sorted), DataType::Map(key, value)) => {
                let ArrowType::Struct(parts) = entries.data_type() else { return Ok(from.clone()) };
                let [from_key, from_value] = parts.as_ref() else { return Ok(from.clone()) };
                let parts =
                    [self.only(from_key, field.parts.first(), key)?, self.only(from_value, field.parts.get(1), value)?];
                let parts = ArrowType::Struct(parts.into_iter().collect());
                ArrowType::Map(Arc::new(Field::clone(entries).with_data_type(parts)), *sorted)
            }
            (ArrowType::Timestamp(unit, zone), DataType::Timestamp | DataType::TimestampTz) => {
                let instants = zone.is_some() || self.int96;
                match unit {
                    TimeUnit::Nanosecond => return Err(format!("the file has nanoseconds, {to} has microseconds")),
                    _ if instants && *to == DataType::Timestamp => {
                        return Err("the file has instants, the table has times without a zone".to_owned());
                    }
                    _ if !instants && *to == DataType::TimestampTz => {
                        return Err("the file has times without a zone, the table has instants".to_owned());
                    }
                    _ => from.clone(),
                }
            }
            _ => from.clone(),
        })
    }

    /// The one field of its kind: a list's element, a map's key or value. Its name says nothing.
    fn only(&mut self, field: &FieldRef, described: Option<&IcebergField>, to: &DataType) -> Result<FieldRef, String> {
        let Some(described) = described else { return Ok(Arc::clone(field)) };
        if self.by == By::Ids {
            match id_of(field) {
                None => return Err(format!("field {:?} has no id, others do", field.name())),
                Some(id) if id != described.id => {
                    return Err(format!("field {:?} is number {id}, the table's is {}", field.name(), described.id));
                }
                Some(_) => {}
            }
        }
        let inner = self.within(field.data_type(), described, to)?;
        Ok(marked(field.name(), inner, field))
    }
}

/// A field that is never taken for one whose arrays have these names already: its arrays have the file's.
fn marked(name: &str, data_type: ArrowType, from: &Field) -> FieldRef {
    let mut metadata = from.metadata().clone();
    metadata.insert("skein.renamed".to_owned(), String::new());
    Arc::new(Field::new(name, data_type, from.is_nullable()).with_metadata(metadata))
}

#[cfg(test)]
#[path = "by_id_tests.rs"]
mod tests;

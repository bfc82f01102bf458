//! The metastore's objects, as far as they matter: tables, partitions, their storage, their columns.
//!
//! In: a protocol that stands before a struct. Out: the object. Field numbers are those of `hive_metastore.thrift`, which
//! have been the same since Hive 0.7.

use std::collections::BTreeMap;

use thrift::protocol::{TInputProtocol, TType};

use super::wire::{fields, list, text_map, texts};

/// A column.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Column {
    /// Its name.
    pub(crate) name: String,
    /// Its type as text.
    pub(crate) type_text: String,
    /// What it is.
    pub(crate) comment: Option<String>,
}

/// Where and how the rows of a table or partition are stored.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Storage {
    /// Columns in the files.
    pub(crate) columns: Vec<Column>,
    /// Location, a URI mostly.
    pub(crate) location: Option<String>,
    /// The input format's class.
    pub(crate) input_format: Option<String>,
    /// Number of buckets; zero or less for none.
    pub(crate) buckets: i32,
    /// The SerDe's class.
    pub(crate) serde: Option<String>,
    /// The SerDe's properties.
    pub(crate) serde_properties: BTreeMap<String, String>,
}

/// A table or view.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Table {
    /// To whom it belongs.
    pub(crate) owner: Option<String>,
    /// Its storage.
    pub(crate) storage: Storage,
    /// Its partition columns.
    pub(crate) partition_columns: Vec<Column>,
    /// Its properties.
    pub(crate) properties: BTreeMap<String, String>,
    /// A view's query as it was written.
    pub(crate) view_text: Option<String>,
    /// `MANAGED_TABLE`, `EXTERNAL_TABLE`, `VIRTUAL_VIEW`, `MATERIALIZED_VIEW`, `INDEX_TABLE`.
    pub(crate) kind: String,
}

/// A partition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Partition {
    /// Values of the partition columns, not escaped.
    pub(crate) values: Vec<String>,
    /// Its storage.
    pub(crate) storage: Storage,
    /// Its properties.
    pub(crate) properties: BTreeMap<String, String>,
}

/// An empty text says as much as none.
fn text(input: &mut dyn TInputProtocol) -> thrift::Result<Option<String>> {
    Ok(Some(input.read_string()?).filter(|text| !text.is_empty()))
}

fn column(input: &mut dyn TInputProtocol) -> thrift::Result<Column> {
    let mut column = Column::default();
    fields(input, |input, number, kind| {
        match (number, kind) {
            (1, TType::String) => column.name = input.read_string()?,
            (2, TType::String) => column.type_text = input.read_string()?,
            (3, TType::String) => column.comment = text(input)?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(column)
}

fn columns(input: &mut dyn TInputProtocol) -> thrift::Result<Vec<Column>> {
    let mut columns = Vec::new();
    list(input, TType::Struct, |input| {
        columns.push(column(input)?);
        Ok(())
    })?;
    Ok(columns)
}

fn storage(input: &mut dyn TInputProtocol) -> thrift::Result<Storage> {
    let mut storage = Storage::default();
    fields(input, |input, number, kind| {
        match (number, kind) {
            (1, TType::List) => storage.columns = columns(input)?,
            (2, TType::String) => storage.location = text(input)?,
            (3, TType::String) => storage.input_format = text(input)?,
            (6, TType::I32) => storage.buckets = input.read_i32()?,
            (7, TType::Struct) => fields(input, |input, number, kind| {
                match (number, kind) {
                    (2, TType::String) => storage.serde = text(input)?,
                    (3, TType::Map) => storage.serde_properties = text_map(input)?,
                    _ => return Ok(false),
                }
                Ok(true)
            })?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(storage)
}

/// Reads a table.
pub(super) fn table(input: &mut dyn TInputProtocol) -> thrift::Result<Table> {
    let mut table = Table::default();
    fields(input, |input, number, kind| {
        match (number, kind) {
            (3, TType::String) => table.owner = text(input)?,
            (7, TType::Struct) => table.storage = storage(input)?,
            (8, TType::List) => table.partition_columns = columns(input)?,
            (9, TType::Map) => table.properties = text_map(input)?,
            (10, TType::String) => table.view_text = text(input)?,
            (12, TType::String) => table.kind = input.read_string()?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(table)
}

/// Reads a partition.
pub(super) fn partition(input: &mut dyn TInputProtocol) -> thrift::Result<Partition> {
    let mut partition = Partition::default();
    fields(input, |input, number, kind| {
        match (number, kind) {
            (1, TType::List) => partition.values = texts(input)?,
            (6, TType::Struct) => partition.storage = storage(input)?,
            (7, TType::Map) => partition.properties = text_map(input)?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(partition)
}

//! What is written into a metastore: databases, and tables that point at Iceberg's metadata files.
//!
//! In: names, columns, properties. Out: what became of it. Holds: [`NewTable`]. Not here: when it is done (`iceberg::catalog::hive`).
//!
//! A table has the classes that Iceberg's own catalog gives it; readers without Iceberg find no rows there, and none that are wrong.

use std::collections::BTreeMap;

use skein_protocol::ids::TableName;
use thrift::protocol::{TFieldIdentifier, TListIdentifier, TMapIdentifier, TOutputProtocol, TType};

use super::call::{Argument, Written, structure};
use super::{Column, MetastoreError, Session};

/// Field of `AlreadyExistsException` in the answers of calls that make something.
const ALREADY_EXISTS: i16 = 1;
/// Field of `NoSuchObjectException` in the answer to `drop_table`.
const NO_SUCH_TABLE: i16 = 1;
/// A table whose files the metastore never removes.
const EXTERNAL: &str = "EXTERNAL_TABLE";
const INPUT_FORMAT: &str = "org.apache.hadoop.mapred.FileInputFormat";
const OUTPUT_FORMAT: &str = "org.apache.hadoop.mapred.FileOutputFormat";
const SERDE: &str = "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe";

/// A table as it is written.
#[derive(Debug)]
pub(crate) struct NewTable<'a> {
    /// Its name.
    pub(crate) name: &'a TableName,
    /// To whom it belongs.
    pub(crate) owner: &'a str,
    /// Its columns.
    pub(crate) columns: &'a [Column],
    /// Its folder.
    pub(crate) location: &'a str,
    /// Its properties.
    pub(crate) properties: &'a BTreeMap<String, String>,
}

#[derive(Debug)]
struct NewDatabase<'a>(&'a str);

/// What a change depends on.
#[derive(Debug)]
struct Condition<'a>(&'a BTreeMap<String, String>);

type Output<'a> = &'a mut dyn TOutputProtocol;

fn field(
    output: Output<'_>,
    number: i16,
    kind: TType,
    content: impl FnOnce(Output<'_>) -> thrift::Result<()>,
) -> thrift::Result<()> {
    output.write_field_begin(&TFieldIdentifier::new("", kind, number))?;
    content(output)?;
    output.write_field_end()
}

fn text(output: Output<'_>, number: i16, text: &str) -> thrift::Result<()> {
    field(output, number, TType::String, |output| output.write_string(text))
}

fn map(output: Output<'_>, number: i16, map: &BTreeMap<String, String>) -> thrift::Result<()> {
    field(output, number, TType::Map, |output| {
        output.write_map_begin(&TMapIdentifier::new(TType::String, TType::String, size(map.len())?))?;
        for (key, value) in map {
            output.write_string(key)?;
            output.write_string(value)?;
        }
        output.write_map_end()
    })
}

fn columns(output: Output<'_>, number: i16, columns: &[Column]) -> thrift::Result<()> {
    field(output, number, TType::List, |output| {
        output.write_list_begin(&TListIdentifier::new(TType::Struct, size(columns.len())?))?;
        for column in columns {
            structure(output, |output| {
                text(output, 1, &column.name)?;
                text(output, 2, &column.type_text)?;
                column.comment.iter().try_for_each(|comment| text(output, 3, comment))
            })?;
        }
        output.write_list_end()
    })
}

fn size(length: usize) -> thrift::Result<i32> {
    let message = "more than two thousand million elements";
    i32::try_from(length).map_err(|_| thrift::new_protocol_error(thrift::ProtocolErrorKind::SizeLimit, message))
}

impl Written for NewTable<'_> {
    fn fields(&self, output: Output<'_>) -> thrift::Result<()> {
        text(output, 1, &self.name.table)?;
        text(output, 2, &self.name.database)?;
        text(output, 3, self.owner)?;
        field(output, 7, TType::Struct, |output| structure(output, |output| self.storage(output)))?;
        columns(output, 8, &[])?;
        map(output, 9, self.properties)?;
        text(output, 12, EXTERNAL)
    }
}

impl NewTable<'_> {
    fn storage(&self, output: Output<'_>) -> thrift::Result<()> {
        columns(output, 1, self.columns)?;
        text(output, 2, self.location)?;
        text(output, 3, INPUT_FORMAT)?;
        text(output, 4, OUTPUT_FORMAT)?;
        field(output, 5, TType::Bool, |output| output.write_bool(false))?;
        field(output, 6, TType::I32, |output| output.write_i32(0))?;
        field(output, 7, TType::Struct, |output| {
            structure(output, |output| {
                text(output, 2, SERDE)?;
                map(output, 3, &BTreeMap::new())
            })
        })?;
        let none = |output: Output<'_>| {
            output.write_list_begin(&TListIdentifier::new(TType::String, 0))?;
            output.write_list_end()
        };
        field(output, 8, TType::List, none)?;
        field(output, 9, TType::List, |output| {
            output.write_list_begin(&TListIdentifier::new(TType::Struct, 0))?;
            output.write_list_end()
        })?;
        map(output, 10, &BTreeMap::new())
    }
}

impl Written for NewDatabase<'_> {
    fn fields(&self, output: Output<'_>) -> thrift::Result<()> {
        text(output, 1, self.0)
    }
}

impl Written for Condition<'_> {
    fn fields(&self, output: Output<'_>) -> thrift::Result<()> {
        map(output, 1, self.0)
    }
}

impl Session {
    /// Makes a database at the metastore's usual place; one that is there already is as good.
    pub(crate) fn create_database(&mut self, name: &str) -> Result<(), MetastoreError> {
        let arguments = [Argument::Struct(1, &NewDatabase(name))];
        self.command("create_database", &arguments, Some(ALREADY_EXISTS)).map(drop)
    }

    /// Makes a table; false if the name is taken.
    pub(crate) fn create_table(&mut self, table: &NewTable<'_>) -> Result<bool, MetastoreError> {
        self.command("create_table", &[Argument::Struct(1, table)], Some(ALREADY_EXISTS))
    }

    /// Puts `table` in the place of the one that has its name, if that has `value` as its property `key` (HIVE-26882: Hive 2.3.10
    /// and 4.0; others do not look). Otherwise the metastore answers with an exception.
    pub(crate) fn alter_table_if(
        &mut self,
        table: &NewTable<'_>,
        key: &str,
        value: &str,
    ) -> Result<(), MetastoreError> {
        let condition = [("expected_parameter_key", key), ("expected_parameter_value", value)];
        let condition = condition.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        let arguments = [
            Argument::Text(1, &table.name.database),
            Argument::Text(2, &table.name.table),
            Argument::Struct(3, table),
            Argument::Struct(4, &Condition(&condition)),
        ];
        self.command("alter_table_with_environment_context", &arguments, None).map(drop)
    }

    /// Removes a table and leaves its files; false if there is none.
    pub(crate) fn drop_table(&mut self, name: &TableName) -> Result<bool, MetastoreError> {
        let arguments = [Argument::Text(1, &name.database), Argument::Text(2, &name.table), Argument::Flag(3, false)];
        self.command("drop_table", &arguments, Some(NO_SUCH_TABLE))
    }

    /// A call without a result; false if it was answered with the exception `declared`.
    fn command(
        &mut self,
        name: &'static str,
        arguments: &[Argument<'_>],
        declared: Option<i16>,
    ) -> Result<bool, MetastoreError> {
        match self.call(name, arguments, declared, TType::Void, |_| Ok(())) {
            Ok(()) => Ok(true),
            Err(MetastoreError::Declared) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

//! The end of an ORC file: rows of its stripes, columns, its writer.
//!
//! In: a file. Out: [`Tail`]s, and a decoder's builder for the reader.
//!
//! The decoder follows the tree of types wherever it leads, so the tree is looked at first: one that leads back to itself
//! would use up the stack.

use std::collections::HashMap;

use arrow::datatypes::Fields as ArrowFields;
use orc_rust::error::OrcError;
use orc_rust::schema::TimestampPrecision;
use orc_rust::{ArrowReaderBuilder, ArrowSchemaOptions};

use super::super::calendar::WriterCalendar;
use super::super::decoding::{DecodeFailure, guarded};
use super::super::file_schema::FileSchema;
use super::super::tails::{Shapes, Tail};
use super::super::watched::Watched;
use super::blocks::{Codec, unpacked};
use super::message::{Field, Fields, number};
use crate::files;

/// Longest footer, unpacked: 10,000 columns with their statistics in 10,000 stripes are less.
const MAX_FOOTER_BYTES: usize = 64 << 20;
/// Deepest tree of types; a type's text may nest 24 levels.
const MAX_TYPE_DEPTH: usize = 64;
/// First and last bytes of each file.
const MAGIC: &[u8] = b"ORC";
/// Numbers of writers in footers: Hive's own, and all that use its library.
const JAVA: u64 = 0;
/// Numbers of calendars in footers.
const JULIAN: u64 = 1;
const PROLEPTIC: u64 = 2;
/// Columns of a table whose rows are changes.
const ACID_COLUMNS: [&str; 6] = ["operation", "originalTransaction", "bucket", "rowId", "currentTransaction", "row"];

impl From<OrcError> for DecodeFailure {
    fn from(error: OrcError) -> Self {
        // What the system refused is remembered by the watched file.
        Self::Damaged(error.to_string())
    }
}

/// What the end of a file tells.
pub(in crate::source) fn tail(file: files::Opened, shapes: &mut Shapes) -> Result<Tail, DecodeFailure> {
    let opened = open(Watched::new(file))?;
    Ok(Tail::of_groups(
        opened.stripes.iter().map(|stripe| stripe.rows).collect(),
        shapes.shared(opened.schema),
        opened.calendar,
    ))
}

/// A stripe: where it starts, and its rows.
#[derive(Debug, Clone, Copy)]
pub(super) struct StripeRows {
    pub(super) offset: u64,
    pub(super) rows: u64,
}

/// An opened file.
pub(super) struct Opened {
    pub(super) builder: ArrowReaderBuilder<Watched>,
    pub(super) stripes: Vec<StripeRows>,
    pub(super) schema: FileSchema,
    pub(super) calendar: WriterCalendar,
}

/// Opens a file; a failure of the system comes before what the decoder makes of it.
pub(super) fn open(watched: Watched) -> Result<Opened, DecodeFailure> {
    let opened = look_at(&watched).and_then(|calendar| decode(watched.clone(), calendar));
    opened.map_err(|failure| watched.take_failure().map_or(failure, DecodeFailure::Io))
}

fn damaged(why: &str) -> DecodeFailure {
    DecodeFailure::Damaged(why.to_owned())
}

/// Looks at the footer before the decoder does; the writer's calendar is told on the way.
fn look_at(watched: &Watched) -> Result<WriterCalendar, DecodeFailure> {
    let length = watched.length();
    if length < 2 * MAGIC.len() as u64 {
        return Err(damaged("it is too short for an ORC file"));
    }
    let script_length = u64::from(watched.bytes(length - 1, 1)?[0]);
    let script_start = (length - 1).checked_sub(script_length).ok_or_else(|| damaged("its postscript is cut off"))?;
    let script = watched.bytes(script_start, script_length)?;
    if !script.ends_with(MAGIC) {
        return Err(damaged("it does not end as an ORC file"));
    }
    let (mut footer_length, mut codec) = (0, Codec::None);
    for field in Fields::of(&script) {
        match field.ok_or_else(|| damaged("its postscript is damaged"))? {
            (1, Field::Number(bytes)) => footer_length = bytes,
            (2, Field::Number(number)) => codec = Codec::of(number)?,
            _ => {}
        }
    }
    let footer_start = script_start.checked_sub(footer_length).ok_or_else(|| damaged("its footer is cut off"))?;
    let footer = unpacked(&watched.bytes(footer_start, footer_length)?, codec, MAX_FOOTER_BYTES)?;
    let (mut types, mut writer, mut calendar) = (Vec::new(), JAVA, 0);
    for field in Fields::of(&footer) {
        match field.ok_or_else(|| damaged("its footer is damaged"))? {
            (4, Field::Bytes(of_type)) => types.push(children(of_type).ok_or_else(|| damaged("a type is damaged"))?),
            (9, Field::Number(number)) => writer = number,
            (10, _) => return Err(DecodeFailure::Unsupported("it is encrypted".to_owned())),
            (11, Field::Number(number)) => calendar = number,
            _ => {}
        }
    }
    if !is_tree(&types) {
        return Err(damaged("its types are no tree"));
    }
    let julian = match calendar {
        PROLEPTIC => false,
        JULIAN => true,
        // Java's library used the old calendar before it said so; others never had it.
        _ => writer == JAVA,
    };
    Ok(WriterCalendar { julian_dates: julian, julian_timestamps: julian, julian_int96: false, int96_zone: None })
}

/// What is looked at in `file` before the decoder sees it.
#[cfg(any(test, feature = "fuzzing"))]
pub(in crate::source) fn look_at_file(file: files::Opened) -> Result<(), DecodeFailure> {
    look_at(&Watched::new(file)).map(|_| ())
}

/// The numbers of a type's children.
fn children(of_type: &[u8]) -> Option<Vec<u64>> {
    let mut children = Vec::new();
    for field in Fields::of(of_type) {
        match field? {
            (2, Field::Number(child)) => children.push(child),
            (2, Field::Bytes(mut packed)) => {
                while !packed.is_empty() {
                    children.push(number(&mut packed)?);
                }
            }
            _ => {}
        }
    }
    Some(children)
}

/// Whether each type's children come after it, none is a child twice, and none is nested too deep.
fn is_tree(types: &[Vec<u64>]) -> bool {
    let mut depths = vec![None; types.len()];
    if let Some(root) = depths.first_mut() {
        *root = Some(0);
    }
    for (own, children) in types.iter().enumerate() {
        for child in children {
            let Some(child) = usize::try_from(*child).ok().filter(|child| *child > own && *child < types.len()) else {
                return false;
            };
            let depth = depths[own].unwrap_or(0) + 1;
            if depth > MAX_TYPE_DEPTH || depths[child].replace(depth).is_some() {
                return false;
            }
        }
    }
    true
}

fn decode(watched: Watched, calendar: WriterCalendar) -> Result<Opened, DecodeFailure> {
    let builder = guarded(|| ArrowReaderBuilder::try_new(watched))?;
    let metadata = builder.file_metadata();
    let stripes: Vec<StripeRows> = metadata
        .stripe_metadatas()
        .iter()
        .map(|stripe| StripeRows { offset: stripe.offset(), rows: stripe.number_of_rows() })
        .collect();
    if !stripes.is_sorted_by(|a, b| a.offset < b.offset) {
        return Err(damaged("its stripes are not in order"));
    }
    let rows = stripes.iter().try_fold(0_u64, |sum, stripe| sum.checked_add(stripe.rows));
    if rows != Some(metadata.number_of_rows()) {
        return Err(damaged("its stripes have other rows than its footer says"));
    }
    let root = metadata.root_data_type();
    let options = ArrowSchemaOptions::new().with_timestamp_precision(TimestampPrecision::Microsecond);
    let schema = guarded(|| {
        let schema = root.create_arrow_schema_with_options(&HashMap::new(), options);
        Ok::<ArrowFields, DecodeFailure>(schema.fields)
    })?;
    if schema.iter().map(|field| field.name().as_str()).eq(ACID_COLUMNS) {
        return Err(DecodeFailure::Unsupported("its rows are changes of a transactional table".to_owned()));
    }
    Ok(Opened { stripes, schema: FileSchema::new(schema), calendar, builder })
}

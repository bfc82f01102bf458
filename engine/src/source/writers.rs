//! What has to be assumed of the files' writers, as notes of the plan.
//!
//! In: files that are alike, described columns. Out: notes.

use std::collections::BTreeSet;

use arrow::datatypes::{DataType as ArrowType, TimeUnit};
use skein_protocol::types::DataType;

use super::calendar::WriterCalendar;
use super::columns::Alike;
use super::findings::Findings;
use super::tails::SelfTold;

/// What has to be assumed of the files' writers.
pub(super) fn note(format: SelfTold, groups: &[Alike<'_>], columns: &[(String, DataType)], findings: &mut Findings) {
    let temporal: Vec<(&Alike<'_>, &str, usize)> = groups
        .iter()
        .flat_map(|group| {
            columns
                .iter()
                .filter_map(move |(name, _)| Some((group, name.as_str(), *group.schema().positions(name).first()?)))
        })
        .collect();
    let has = |wanted: &dyn Fn(&Alike<'_>, usize) -> bool| {
        let names: BTreeSet<&str> =
            temporal.iter().filter(|(group, _, position)| wanted(group, *position)).map(|(_, name, _)| *name).collect();
        (!names.is_empty()).then(|| names.into_iter().collect::<Vec<_>>().join(", "))
    };
    let holds = |group: &Alike<'_>, position: usize, leaf: &dyn Fn(&ArrowType) -> bool| {
        any_leaf(group.schema().fields[position].data_type(), leaf)
    };
    let is_timestamp = |leaf: &ArrowType| matches!(leaf, ArrowType::Timestamp(..));
    let is_nanos = |leaf: &ArrowType| matches!(leaf, ArrowType::Timestamp(TimeUnit::Nanosecond, _));
    if let Some(names) = has(&|group, position| {
        let in_nanos = match format {
            SelfTold::Parquet => group.schema().has_int96[position],
            SelfTold::Orc => holds(group, position, &is_timestamp),
            SelfTold::Avro => false,
        };
        in_nanos || holds(group, position, &is_nanos)
    }) {
        findings.note(format!("Timestamps are kept to the microsecond; the files could hold nanoseconds ({names})."));
    }
    let in_utc = |group: &Alike<'_>, position: usize| {
        holds(group, position, &is_timestamp) && group.tail.calendar.int96_zone.is_none()
    };
    // ORC keeps the wall clock, with the writer's zone where that is needed to know it.
    if format != SelfTold::Orc
        && let Some(names) = has(&in_utc)
    {
        findings.note(format!(
            "Timestamps in {} carry no zone; they are read as the wall clock of a writer in UTC ({names}).",
            format.name()
        ));
    }
    for group in groups {
        if let Some(zone) = &group.tail.calendar.int96_zone
            && columns.iter().any(|(name, _)| {
                let turned =
                    |position: &usize| group.schema().has_int96[*position] && holds(group, *position, &is_timestamp);
                group.schema().positions(name).iter().any(turned)
            })
        {
            findings.note(format!(
                "{} are read as the wall clock in {zone}, as their writer noted in the files.",
                if format == SelfTold::Parquet { "INT96 timestamps" } else { "Timestamps" }
            ));
        }
    }
    let julian = |group: &Alike<'_>, position: usize| {
        let calendar: &WriterCalendar = &group.tail.calendar;
        let int96 = group.schema().has_int96[position];
        (calendar.julian_dates && holds(group, position, &|leaf| matches!(leaf, ArrowType::Date32)))
            || (holds(group, position, &is_timestamp)
                && if int96 { calendar.julian_int96 } else { calendar.julian_timestamps })
    };
    if let Some(names) = has(&julian) {
        findings.note(format!(
            "By their footers the files' writers counted days before 1582-10-15 in the Julian calendar; such days keep their labels ({names})."
        ));
    }
}

fn any_leaf(data_type: &ArrowType, wanted: &dyn Fn(&ArrowType) -> bool) -> bool {
    match data_type {
        ArrowType::List(element) | ArrowType::Map(element, _) => any_leaf(element.data_type(), wanted),
        ArrowType::Struct(fields) => fields.iter().any(|field| any_leaf(field.data_type(), wanted)),
        leaf => wanted(leaf),
    }
}

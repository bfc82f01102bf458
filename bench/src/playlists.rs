//! Rows of playlists.
//!
//! In:    which table, partition and row numbers.
//! Out:   a record batch of the seven data columns (the eighth, `dt`, is in the path).
//! Holds: a row is a pure function of its key; a duplicate is the row of an earlier number of the same
//!        partition, in every column; rows that are no duplicates differ in `playlist_id`.
//! Not here: files and folders (`warehouse`).

use std::ops::Range;
use std::sync::Arc;

use anyhow::Result;
use arrow::array::{
    ArrayRef, Float64Builder, Int32Builder, Int64Builder, RecordBatch, StringBuilder, TimestampMicrosecondBuilder,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

use crate::random::Random;
use crate::shape::Shape;

/// Owners that occur in the data; the first ones often, the last ones seldom.
const OWNERS: u64 = 2_000_000;
/// Ids ascend with gaps of this size, as a sequence that many writers draw ranges from.
const ID_GAP: u64 = 1 << 16;
/// One genre in so many is null, and one duration.
const ONE_NULL_GENRE_IN: u64 = 33;
const ONE_NULL_DURATION_IN: u64 = 100;
const MOST_TRACKS: u64 = 400;
const MICROS_PER_MINUTE: i64 = 60_000_000;
const MINUTES_PER_DAY: i64 = 1_440;
/// 2024-01-01 as days since 1970-01-01: the first partition.
pub(crate) const FIRST_DAY: i64 = 19_723;

const MOODS: [&str; 16] = [
    "Quiet",
    "Summer",
    "Late Night",
    "Sunday",
    "Rainy Day",
    "Deep",
    "Golden",
    "Electric",
    "Café",
    "Old School",
    "Lost",
    "Morning",
    "Endless",
    "Velvet",
    "Neon",
    "Faraway",
];
const THINGS: [&str; 16] = [
    "Drive", "Mix", "Sessions", "Coffee", "Workout", "Focus", "Memories", "Party", "Beats", "Roads", "Dreams",
    "Kitchen", "Rhythms", "Harbour", "Letters", "Horizon",
];
const GENRES: [&str; 24] = [
    "pop",
    "rock",
    "jazz",
    "folk",
    "house",
    "techno",
    "hip hop",
    "soul",
    "funk",
    "reggae",
    "classical",
    "opera",
    "ambient",
    "metal",
    "punk",
    "blues",
    "country",
    "latin",
    "afrobeat",
    "k-pop",
    "schlager",
    "chanson",
    "fado",
    "indie",
];

/// The columns of the files.
pub(crate) fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("playlist_id", DataType::Int64, true),
        Field::new("owner_id", DataType::Int64, true),
        Field::new("title", DataType::Utf8, true),
        Field::new("genre", DataType::Utf8, true),
        Field::new("track_count", DataType::Int32, true),
        Field::new("duration_seconds", DataType::Float64, true),
        Field::new("created_at", DataType::Timestamp(TimeUnit::Microsecond, None), true),
    ]))
}

/// The row whose values a row number has: itself, or an earlier one if this number is a duplicate.
pub(crate) fn origin(shape: &Shape, table: u32, partition: u32, row: u64) -> u64 {
    let mut at = row;
    loop {
        let mut random = Random::of(&[shape.seed, u64::from(table), u64::from(partition), at, 1]);
        if at == 0 || random.below(shape.one_duplicate_in) != 0 {
            return at;
        }
        at = random.below(at);
    }
}

/// The rows of a range of row numbers of one partition.
pub(crate) fn batch(shape: &Shape, table: u32, partition: u32, rows: Range<u64>) -> Result<RecordBatch> {
    let count = usize::try_from(rows.end - rows.start)?;
    let mut ids = Int64Builder::with_capacity(count);
    let mut owners = Int64Builder::with_capacity(count);
    let mut titles = StringBuilder::with_capacity(count, count * 20);
    let mut genres = StringBuilder::with_capacity(count, count * 6);
    let mut tracks = Int32Builder::with_capacity(count);
    let mut durations = Float64Builder::with_capacity(count);
    let mut created = TimestampMicrosecondBuilder::with_capacity(count);
    let mut text = String::new();
    let midnight = (FIRST_DAY + i64::from(partition)) * MINUTES_PER_DAY;
    for row in rows {
        let row = origin(shape, table, partition, row);
        let mut random = Random::of(&[shape.seed, u64::from(table), u64::from(partition), row, 2]);
        ids.append_value(((i64::from(partition) + 1) << 40) + i64::try_from(row * ID_GAP + random.below(ID_GAP))?);
        owners.append_value(1_000 + i64::try_from(random.skewed(OWNERS))?);
        text.clear();
        write_title(&mut text, random.skewed(shape.titles));
        titles.append_value(&text);
        match random.below(ONE_NULL_GENRE_IN) {
            0 => genres.append_null(),
            _ => genres.append_value(GENRES[usize::try_from(random.skewed(GENRES.len() as u64))?]),
        }
        let track_count = random.skewed(MOST_TRACKS);
        tracks.append_value(i32::try_from(track_count)?);
        match random.below(ONE_NULL_DURATION_IN) {
            0 => durations.append_null(),
            // Halves of a second, of tracks of three to four minutes.
            _ => durations.append_value((track_count * 360 + random.below(track_count * 120 + 1)) as f64 / 2.0),
        }
        // To the minute, as the application recorded it.
        let minute = i64::try_from(random.below(MINUTES_PER_DAY as u64))?;
        created.append_value((midnight + minute) * MICROS_PER_MINUTE);
    }
    let columns: Vec<ArrayRef> = vec![
        Arc::new(ids.finish()),
        Arc::new(owners.finish()),
        Arc::new(titles.finish()),
        Arc::new(genres.finish()),
        Arc::new(tracks.finish()),
        Arc::new(durations.finish()),
        Arc::new(created.finish()),
    ];
    Ok(RecordBatch::try_new(schema(), columns)?)
}

/// The title of a rank; some are empty, which is not null.
fn write_title(text: &mut String, rank: u64) {
    use std::fmt::Write;
    let (mood, rest) = (rank % 16, rank / 16);
    let (thing, number) = (rest % 16, rest / 16);
    if rank.is_multiple_of(257) {
        return;
    }
    let (mood, thing) = (MOODS[mood as usize], THINGS[thing as usize]);
    write!(text, "{mood} {thing} {number}").expect("writing into a String cannot fail");
}

/// `YYYY-MM-DD` of a day counted from 1970-01-01 (proleptic Gregorian, years of era arithmetic).
pub(crate) fn date_text(days: i64) -> String {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (year, month) =
        if month < 10 { (year_of_era + era * 400, month + 3) } else { (year_of_era + era * 400 + 1, month - 9) };
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use arrow::array::AsArray;
    use arrow::datatypes::Int64Type;

    use super::*;
    use crate::shape::Dataset;

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(date_text(0), "1970-01-01");
        assert_eq!(date_text(FIRST_DAY), "2024-01-01");
        assert_eq!(date_text(FIRST_DAY + 59), "2024-02-29");
        assert_eq!(date_text(FIRST_DAY + 60), "2024-03-01");
        assert_eq!(date_text(-1), "1969-12-31");
    }

    #[test]
    fn about_one_row_in_fifty_is_a_copy_and_the_others_are_unique() {
        let shape = Shape::of(Dataset::B, 0.001, 3);
        let rows = 20_000;
        let batch = batch(&shape, 0, 1, 0..rows).unwrap();
        let ids: HashSet<i64> = batch.column(0).as_primitive::<Int64Type>().values().iter().copied().collect();
        let originals = (0..rows).filter(|row| origin(&shape, 0, 1, *row) == *row).count();
        assert_eq!(ids.len(), originals);
        let copies = rows as usize - originals;
        assert!((300..500).contains(&copies), "{copies} copies");
    }

    #[test]
    fn a_row_does_not_depend_on_the_batch_it_is_made_in() {
        let shape = Shape::of(Dataset::A, 0.001, 3);
        let whole = batch(&shape, 0, 2, 0..100).unwrap();
        assert_eq!(whole.slice(40, 10), batch(&shape, 0, 2, 40..50).unwrap());
        assert_ne!(whole, batch(&shape, 0, 3, 0..100).unwrap());
    }
}

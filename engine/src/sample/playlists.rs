//! The rows of a sample table.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Decimal128Builder, Int32Builder, Int64Builder, RecordBatch, StringBuilder,
    TimestampMicrosecondBuilder,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

/// Columns and their types as Hive names them.
pub(super) const COLUMNS: [(&str, &str); 8] = [
    ("playlist_id", "bigint"),
    ("name", "string"),
    ("owner", "string"),
    ("followers", "int"),
    ("is_public", "boolean"),
    ("duration_ms", "bigint"),
    ("rating", "decimal(4,2)"),
    ("created_at", "timestamp"),
];

const ADJECTIVES: [&str; 8] = ["Quiet", "Loud", "Früh", "Late", "Golden", "Blue", "Summer", "Deep"];
const NOUNS: [&str; 8] = ["Mornings", "Roads", "Focus", "Café", "Rain", "Party", "Rock", "夜"];
/// One row of this many repeats an earlier one.
const DUPLICATE_EVERY: u64 = 50;
/// 2015-01-01 in microseconds since 1970.
const FIRST_CREATION: i64 = 1_420_070_400_000_000;
/// Nine years in microseconds.
const CREATION_SPAN: u64 = 9 * 365 * 86_400 * 1_000_000;

/// The schema of the files (`dt` is in the folders' names).
pub(super) fn schema() -> SchemaRef {
    let field = |name: &str, data_type| Field::new(name, data_type, true);
    let types = [
        DataType::Int64,
        DataType::Utf8,
        DataType::Utf8,
        DataType::Int32,
        DataType::Boolean,
        DataType::Int64,
        DataType::Decimal128(4, 2),
        DataType::Timestamp(TimeUnit::Microsecond, None),
    ];
    let fields: Vec<Field> = COLUMNS.iter().zip(types).map(|((name, _), data_type)| field(name, data_type)).collect();
    Arc::new(Schema::new(fields))
}

/// The rows of one partition of one table, in order.
#[derive(Debug)]
pub(super) struct Playlists {
    seed: u64,
    next: u64,
}

impl Playlists {
    pub(super) fn new(dataset: u32, partition: u32) -> Self {
        Self { seed: mix((u64::from(dataset) << 32) | u64::from(partition)), next: 0 }
    }

    /// The next `rows` rows.
    pub(super) fn batch(&mut self, rows: u32) -> RecordBatch {
        let mut columns = Columns::default();
        for _ in 0..rows {
            let number = self.next;
            self.next += 1;
            // A duplicate repeats one of the rows shortly before it, never another duplicate.
            let original = if number > 0 && number.is_multiple_of(DUPLICATE_EVERY) {
                number - 1 - mix(number) % 40
            } else {
                number
            };
            columns.push(original, mix(self.seed ^ mix(original)));
        }
        columns.finish()
    }
}

/// SplitMix64's finaliser (S. Vigna): spreads consecutive numbers over all 64 bits.
fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

struct Columns {
    playlist_id: Int64Builder,
    name: StringBuilder,
    owner: StringBuilder,
    followers: Int32Builder,
    is_public: BooleanBuilder,
    duration_ms: Int64Builder,
    rating: Decimal128Builder,
    created_at: TimestampMicrosecondBuilder,
}

impl Default for Columns {
    fn default() -> Self {
        let rating =
            Decimal128Builder::new().with_precision_and_scale(4, 2).expect("4 digits, 2 of them behind the point");
        Self {
            playlist_id: Int64Builder::new(),
            name: StringBuilder::new(),
            owner: StringBuilder::new(),
            followers: Int32Builder::new(),
            is_public: BooleanBuilder::new(),
            duration_ms: Int64Builder::new(),
            rating,
            created_at: TimestampMicrosecondBuilder::new(),
        }
    }
}

impl Columns {
    fn push(&mut self, number: u64, random: u64) {
        let pick = |shift: u32, bound: u64| (random >> shift) % bound;
        let signed = |value: u64| i64::try_from(value).expect("it is far below 2^63");
        self.playlist_id.append_value(signed(number));
        // Some names are missing, some are empty: they are not the same.
        match pick(0, 40) {
            0 => self.name.append_null(),
            1 => self.name.append_value(""),
            _ => {
                let index = |shift| usize::try_from(pick(shift, 8)).expect("it is below eight");
                let (adjective, noun) = (ADJECTIVES[index(3)], NOUNS[index(6)]);
                self.name.append_value(format!("{adjective} {noun} {}", pick(9, 1000)));
            }
        }
        self.owner.append_value(format!("user{:06}", pick(12, 50_000)));
        self.followers.append_value(i32::try_from(pick(20, 1_000_000)).expect("it is below a million"));
        self.is_public.append_value(pick(30, 3) > 0);
        self.duration_ms.append_option((pick(33, 25) > 0).then(|| signed(pick(5, 90_000_000))));
        self.rating.append_option((pick(41, 10) > 0).then(|| i128::from(pick(17, 501))));
        self.created_at.append_value(FIRST_CREATION + signed(mix(random) % CREATION_SPAN));
    }

    fn finish(mut self) -> RecordBatch {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(self.playlist_id.finish()),
            Arc::new(self.name.finish()),
            Arc::new(self.owner.finish()),
            Arc::new(self.followers.finish()),
            Arc::new(self.is_public.finish()),
            Arc::new(self.duration_ms.finish()),
            Arc::new(self.rating.finish()),
            Arc::new(self.created_at.finish()),
        ];
        RecordBatch::try_new(schema(), columns).expect("the columns are made for this schema")
    }
}

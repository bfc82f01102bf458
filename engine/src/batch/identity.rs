//! The identity of a row: all that decides which of several rows is kept.
//!
//! In: record batches of the source. Out: batches of identities, by range of the key's hash. Holds: the columns of these.
//! Not here: files (`scratch`), the decision (`resolve`).

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, FixedSizeBinaryArray, RecordBatch, UInt32Array, UInt64Array};
use arrow::buffer::{Buffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use skein_protocol::data_plane::Failure;
use skein_protocol::plan::{OrderBy, Plan, Rule};

use crate::failure::internal;

/// Bytes of a hash; in files the highest byte comes first.
pub(super) const HASH_BYTES: usize = 16;

/// What the rules of a plan that are resolved over all files need to know of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Question<'a> {
    /// The key's columns; none if whole rows are compared.
    pub(super) key: Option<&'a [String]>,
    /// The order among rows of one key.
    pub(super) order: &'a [OrderBy],
    /// The position in the plan's rules of the rule that keeps one row of each key.
    pub(super) keyed: Option<usize>,
    /// The position of the rule that drops exact duplicates.
    pub(super) exact: Option<usize>,
}

impl<'a> Question<'a> {
    /// The question of `plan`.
    pub(super) fn of(plan: &'a Plan) -> Result<Self, Failure> {
        let mut question = Self { key: None, order: &[], keyed: None, exact: None };
        for (position, planned) in plan.rules.iter().enumerate() {
            match &planned.rule {
                Rule::Filter { .. } => {}
                Rule::DropExactDuplicates => {
                    question.exact.get_or_insert(position);
                }
                Rule::KeepOne { .. } if question.keyed.is_some() => {
                    return Err(internal("finding rows that lose", "a plan can keep one row of one key only"));
                }
                Rule::KeepOne { key, order } => {
                    question.key = Some(key);
                    question.order = order;
                    question.keyed = Some(position);
                }
            }
        }
        if question.keyed.is_none() && question.exact.is_none() {
            return Err(internal("finding rows that lose", "the plan has no rule by which rows could lose"));
        }
        Ok(question)
    }

    /// Whether exact duplicates are dropped before the key is looked at; afterwards there are none.
    pub(super) fn exact_first(&self) -> bool {
        self.exact.is_some_and(|exact| self.keyed.is_none_or(|keyed| exact < keyed))
    }

    /// The columns of identities.
    pub(super) fn schema(&self) -> SchemaRef {
        let hash = || DataType::FixedSizeBinary(HASH_BYTES as i32);
        let mut fields = vec![
            Field::new("row128", hash(), false),
            Field::new("file", DataType::UInt32, false),
            Field::new("row", DataType::UInt64, false),
        ];
        if self.key.is_some() {
            fields.push(Field::new("key", hash(), false));
            fields.push(Field::new("order", DataType::Binary, false));
        }
        Arc::new(Schema::new(fields))
    }
}

/// The range of `ranges` that a hash falls into: equal parts of the hashes' space.
pub(super) fn range_of(hash: u128, ranges: u32) -> u32 {
    let high = hash >> 64;
    // Less than `ranges`, since `high` is less than 2^64.
    ((high * u128::from(ranges)) >> 64) as u32
}

/// Identities that wait to be written.
#[derive(Debug, Default)]
pub(super) struct Identities {
    row128: Vec<u8>,
    file: Vec<u32>,
    row: Vec<u64>,
    key: Vec<u8>,
    order: Vec<u8>,
    order_ends: Vec<usize>,
}

impl Identities {
    pub(super) fn len(&self) -> usize {
        self.file.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.row128.len() + self.key.len() + self.order.len() + self.file.len() * 20
    }

    /// Adds a row; `key` with its order is there if the question has a key.
    pub(super) fn push(&mut self, row128: u128, file: u32, row: u64, key: Option<(u128, &[u8])>) {
        self.row128.extend_from_slice(&row128.to_be_bytes());
        self.file.push(file);
        self.row.push(row);
        if let Some((key, order)) = key {
            self.key.extend_from_slice(&key.to_be_bytes());
            self.order.extend_from_slice(order);
            self.order_ends.push(self.order.len());
        }
    }

    /// All of them as a batch of `schema`; none are left.
    pub(super) fn take(&mut self, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
        let all = std::mem::take(self);
        let hashes = |bytes: Vec<u8>| FixedSizeBinaryArray::try_new(HASH_BYTES as i32, Buffer::from_vec(bytes), None);
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(hashes(all.row128)?),
            Arc::new(UInt32Array::from(all.file)),
            Arc::new(UInt64Array::from(all.row)),
        ];
        if schema.fields().len() > columns.len() {
            let lengths = all.order_ends.iter().scan(0, |before, end| Some(end - std::mem::replace(before, *end)));
            let offsets = OffsetBuffer::<i32>::from_lengths(lengths);
            columns.push(Arc::new(hashes(all.key)?));
            columns.push(Arc::new(BinaryArray::try_new(offsets, Buffer::from_vec(all.order), None)?));
        }
        RecordBatch::try_new(Arc::clone(schema), columns)
    }
}

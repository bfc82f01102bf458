//! One disk in memory: its bytes as the node sees them, and what is needed to take unsynced writes back.
//!
//! In: writes, syncs, a crash. Out: bytes. Holds: [`Disk`]. Not here: who may still use it (`storage`).

use std::collections::BTreeSet;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::RngCore;

/// What a device writes at once: a torn write ends at a multiple of this.
const SECTOR_BYTES: u64 = 512;

/// A file system gives a file room in blocks of this length, when they are written for the first time: a length alone
/// takes none.
const BLOCK_BYTES: usize = 4096;

/// A disk whose unsynced writes can be lost.
#[derive(Debug, Default)]
pub(super) struct Disk {
    bytes: Vec<u8>,
    /// Changes that a crash may take back, oldest first.
    undo: Vec<(Undo, Durability)>,
    /// Whether a sync has failed: from then on also what was synced later is noted, for it lies above what is doubtful.
    has_failed: bool,
    /// Blocks that were ever written.
    blocks: BTreeSet<usize>,
}

/// What is known of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Durability {
    /// It was not synced.
    Unsynced,
    /// Its sync failed. The system takes it for written from then on: no later sync makes it durable.
    Doubtful,
    /// It was synced, and older ones are doubtful.
    Durable,
}

/// How to take one change back.
#[derive(Debug)]
enum Undo {
    Write { offset: usize, new_length: usize, old: Vec<u8>, old_len: usize },
    SetLen { old_len: usize, tail: Vec<u8> },
}

/// A change that was taken back and may be made again.
enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    SetLen(usize),
}

impl Disk {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Bytes of room that a write would take beside what the disk has.
    pub(super) fn room_for(&self, offset: usize, length: usize) -> usize {
        blocks_of(offset, length).filter(|block| !self.blocks.contains(block)).count() * BLOCK_BYTES
    }

    pub(super) fn write(&mut self, offset: usize, data: &[u8]) {
        self.blocks.extend(blocks_of(offset, data.len()));
        let (old_len, end) = (self.bytes.len(), offset + data.len());
        let old = self.bytes[offset.min(old_len)..end.min(old_len)].to_vec();
        self.undo.push((Undo::Write { offset, new_length: data.len(), old, old_len }, Durability::Unsynced));
        self.put(offset, data);
    }

    pub(super) fn set_len(&mut self, len: usize) {
        let old_len = self.bytes.len();
        let tail = self.bytes[len.min(old_len)..].to_vec();
        self.undo.push((Undo::SetLen { old_len, tail }, Durability::Unsynced));
        self.bytes.resize(len, 0);
    }

    pub(super) fn sync(&mut self) {
        if self.has_failed {
            self.settle(Durability::Durable);
        } else {
            self.undo.clear();
        }
    }

    /// A sync fails: what was to be synced is still seen, and nobody knows what of it a crash leaves.
    pub(super) fn fail_sync(&mut self) {
        self.has_failed = true;
        self.settle(Durability::Doubtful);
    }

    fn settle(&mut self, durability: Durability) {
        let unsynced = self.undo.iter_mut().filter(|(_, known)| *known == Durability::Unsynced);
        unsynced.for_each(|(_, known)| *known = durability);
    }

    /// Changes bytes behind everybody's back, durably: a fault of the device.
    pub(super) fn damage(&mut self, offset: usize, data: &[u8]) {
        self.undo.clear();
        self.put(offset, data);
    }

    /// Keeps a random part of the changes that are not durable, in their order, some of them torn.
    pub(super) fn crash(&mut self, random: &mut ChaCha8Rng) {
        let changes = self.take_back();
        self.has_failed = false;
        // Each crash has its own taste: everything lost, everything kept, or something between.
        let kept_of_four = random.next_u32() % 5;
        let last = changes.len().saturating_sub(1);
        for (number, (change, durability)) in changes.into_iter().enumerate() {
            let durable = durability == Durability::Durable;
            if !durable && random.next_u32() % 4 >= kept_of_four {
                continue;
            }
            match change {
                Change::SetLen(len) => self.bytes.resize(len, 0),
                Change::Write { offset, bytes } => {
                    let torn = !durable && random.next_u32().is_multiple_of(if number == last { 2 } else { 8 });
                    let length = if torn { torn_length(random, offset, bytes.len()) } else { bytes.len() };
                    self.put(offset, &bytes[..length]);
                }
            }
        }
    }

    /// Takes all unsynced changes back and returns them, oldest first.
    fn take_back(&mut self) -> Vec<(Change, Durability)> {
        let mut changes = Vec::with_capacity(self.undo.len());
        while let Some((undo, durability)) = self.undo.pop() {
            let change = match undo {
                Undo::Write { offset, new_length, old, old_len } => {
                    let bytes = self.bytes[offset..offset + new_length].to_vec();
                    self.bytes.truncate(old_len);
                    self.put(offset.min(old_len), &old);
                    Change::Write { offset, bytes }
                }
                Undo::SetLen { old_len, tail } => {
                    let len = self.bytes.len();
                    self.bytes.resize(old_len, 0);
                    if !tail.is_empty() {
                        self.put(len, &tail);
                    }
                    Change::SetLen(len)
                }
            };
            changes.push((change, durability));
        }
        changes.reverse();
        changes
    }

    fn put(&mut self, offset: usize, data: &[u8]) {
        let end = offset + data.len();
        if !data.is_empty() && self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        if !data.is_empty() {
            self.bytes[offset..end].copy_from_slice(data);
        }
    }
}

/// The blocks that a write touches.
fn blocks_of(offset: usize, length: usize) -> std::ops::Range<usize> {
    offset / BLOCK_BYTES..(offset + length).div_ceil(BLOCK_BYTES)
}

/// How much of a write arrives when it is torn: whole sectors from its beginning, perhaps none.
fn torn_length(random: &mut ChaCha8Rng, offset: usize, length: usize) -> usize {
    let (offset, length) = (offset as u64, length as u64);
    let first = offset / SECTOR_BYTES;
    let sectors = (offset + length).div_ceil(SECTOR_BYTES) - first;
    let kept = random.next_u64() % (sectors + 1);
    let end = ((first + kept) * SECTOR_BYTES).clamp(offset, offset + length);
    usize::try_from(end - offset).expect("not longer than the write, which is in memory")
}

//! Frames on streams: a length, then a sealed frame. Every check comes before the memory that it is about.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use quinn::{ReadError, ReadExactError, RecvStream, SendStream, VarInt, WriteError};
use skein_protocol::wire::{self, Kind, WireError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::codes;
use super::limits::{HEAD_DEADLINE, LONGEST_FRAME, body_deadline};
use super::world::World;

/// A stream is read in pieces of at most this length, so that memory follows what has come.
const PIECE: usize = 256 << 10;
const KIB: usize = 1 << 10;

/// A frame that was read, and its share of the memory for frames.
pub(super) struct Read {
    pub(super) kind: Kind,
    pub(super) frame: Vec<u8>,
    pub(super) share: OwnedSemaphorePermit,
}

/// A stream that holds no frame that is read.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotRead {
    /// It says a length that no frame has.
    #[error("a frame of {0} bytes is longer than any")]
    TooLong(usize),
    /// It is no frame.
    #[error("{0}")]
    Wire(#[from] WireError),
    /// The kind is not one that this peer may send here.
    #[error("frames of kind {0:?} are not taken from this peer on this stream")]
    NotAllowed(Kind),
    /// Its bytes do not come.
    #[error("its bytes came too slowly")]
    Slow,
    /// The stream or its connection ended.
    #[error("{0}")]
    Ended(#[from] ReadExactError),
}

impl NotRead {
    /// The number with which the stream is ended.
    pub(super) fn code(&self) -> VarInt {
        match self {
            Self::TooLong(_) | Self::Wire(WireError::TooLarge { .. }) => codes::TOO_LONG,
            Self::Slow => codes::SLOW,
            Self::Wire(_) | Self::NotAllowed(_) | Self::Ended(_) => codes::MALFORMED,
        }
    }
}

/// Reads a number of four bytes.
pub(super) async fn number(stream: &mut RecvStream) -> Result<u32, ReadExactError> {
    let mut bytes = [0; 4];
    stream.read_exact(&mut bytes).await?;
    Ok(u32::from_le_bytes(bytes))
}

/// Reads a frame of a kind that `allowed` takes, and opens it. `begin_by`: how long its first bytes may take.
pub(super) async fn read(
    stream: &mut RecvStream,
    allowed: impl Fn(Kind) -> bool,
    begin_by: Duration,
    memory: &Arc<Semaphore>,
    world: &World,
) -> Result<Read, NotRead> {
    let (length, first, head) = timeout(begin_by, begin(stream)).await.map_err(|_| NotRead::Slow)??;
    if !allowed(head.kind) {
        return Err(NotRead::NotAllowed(head.kind));
    }
    let held = if head.compressed { length + head.open_bytes } else { length };
    let shares = u32::try_from(held.div_ceil(KIB)).unwrap_or(u32::MAX);
    let rest = async {
        // Only the end of the fabric closes it.
        let share = memory.clone().acquire_many_owned(shares).await.map_err(|_| NotRead::Slow)?;
        Ok::<_, NotRead>((rest_of(stream, length, first).await?, share))
    };
    let (frame, share) = timeout(body_deadline(length), rest).await.map_err(|_| NotRead::Slow)??;
    let (kind, frame) = world.open(frame, head.open_bytes).await?;
    Ok(Read { kind, frame, share })
}

/// The length, the first bytes of the frame, and what they say.
async fn begin(stream: &mut RecvStream) -> Result<(usize, Vec<u8>, wire::Head), NotRead> {
    let length = usize::try_from(number(stream).await?).unwrap_or(usize::MAX);
    if length > LONGEST_FRAME {
        return Err(NotRead::TooLong(length));
    }
    let mut first = vec![0; length.min(wire::HEAD_BYTES)];
    stream.read_exact(&mut first).await?;
    let head = wire::head(&first, length)?;
    Ok((length, first, head))
}

async fn rest_of(stream: &mut RecvStream, length: usize, first: Vec<u8>) -> Result<Vec<u8>, ReadExactError> {
    let mut frame = first;
    frame.reserve_exact(length.min(PIECE).saturating_sub(frame.len()));
    while frame.len() < length {
        let chunk = stream.read_chunk((length - frame.len()).min(PIECE), true).await.map_err(lost)?;
        let Some(chunk) = chunk else {
            return Err(ReadExactError::FinishedEarly(frame.len()));
        };
        if frame.capacity() < frame.len() + chunk.bytes.len() {
            // Doubling, and never beyond what was announced and is accounted for.
            frame.reserve_exact(frame.len().max(PIECE).min(length - frame.len()));
        }
        frame.extend_from_slice(&chunk.bytes);
    }
    Ok(frame)
}

fn lost(error: ReadError) -> ReadExactError {
    ReadExactError::ReadError(error)
}

/// Sends `before` and the length of a sealed frame, then the frame, and ends the stream.
pub(super) async fn write(stream: &mut SendStream, before: &[u8], sealed: Vec<u8>) -> Result<(), WriteError> {
    let length = u32::try_from(sealed.len()).expect("frames that travel are far shorter than 4 GiB");
    let prelude = [before, &length.to_le_bytes()].concat();
    stream.write_all(&prelude).await?;
    stream.write_chunk(Bytes::from(sealed)).await?;
    // The stream can only have been stopped: the next read on it says why.
    let _ = stream.finish();
    Ok(())
}

/// The time for the first bytes of a stream that a peer opened.
pub(super) const BEGIN_BY: Duration = HEAD_DEADLINE;

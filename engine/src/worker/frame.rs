//! Frames between the engine and its workers: a length, and a message as JSON.
//!
//! In: messages, streams. Out: bytes, messages. Not here: what messages say (`message`).
//!
//! JSON, because plans and results are stored as JSON anyway, and hold values that only formats describe which name their
//! fields. Neither side trusts a length: memory grows with what has arrived.

use std::io::{self, ErrorKind, Read};

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncReadExt};

/// Bytes of the length, which is little-endian.
const LENGTH_BYTES: usize = 4;
/// Longest message. A plan is 240 MiB at most (`MAX_BLOB_BYTES`); an inspection of a million files takes some 400 MB.
const MAX_MESSAGE_BYTES: usize = 1 << 30;

/// A message as a frame.
pub(super) fn encode<T: Serialize>(message: &T) -> io::Result<Vec<u8>> {
    let mut frame = vec![0; LENGTH_BYTES];
    serde_json::to_writer(&mut frame, message)?;
    let bytes = frame.len() - LENGTH_BYTES;
    let length = u32::try_from(bytes).ok().filter(|_| bytes <= MAX_MESSAGE_BYTES);
    let length = length.ok_or_else(|| {
        io::Error::new(ErrorKind::InvalidInput, format!("a message of {bytes} bytes; {MAX_MESSAGE_BYTES} are allowed"))
    })?;
    frame[..LENGTH_BYTES].copy_from_slice(&length.to_le_bytes());
    Ok(frame)
}

/// The message in the bytes of a frame without its length.
pub(super) fn decode<T: DeserializeOwned>(message: &[u8]) -> io::Result<T> {
    serde_json::from_slice(message).map_err(|error| io::Error::new(ErrorKind::InvalidData, error))
}

fn length_of(length: [u8; LENGTH_BYTES]) -> io::Result<u64> {
    let bytes = u32::from_le_bytes(length);
    if bytes as usize > MAX_MESSAGE_BYTES {
        return Err(io::Error::new(ErrorKind::InvalidData, format!("a message claims {bytes} bytes")));
    }
    Ok(u64::from(bytes))
}

/// The next message's bytes from a stream that blocks; `None` at its end.
pub(super) fn read(stream: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; LENGTH_BYTES];
    let first = loop {
        match stream.read(&mut length) {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            other => break other?,
        }
    };
    if first == 0 {
        return Ok(None);
    }
    stream.read_exact(&mut length[first..])?;
    let length = length_of(length)?;
    let mut message = Vec::new();
    stream.take(length).read_to_end(&mut message)?;
    whole(message, length).map(Some)
}

/// The next message's bytes from a stream that does not block; `None` at its end.
pub(super) async fn receive(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; LENGTH_BYTES];
    let first = stream.read(&mut length).await?;
    if first == 0 {
        return Ok(None);
    }
    stream.read_exact(&mut length[first..]).await?;
    let length = length_of(length)?;
    let mut message = Vec::new();
    stream.take(length).read_to_end(&mut message).await?;
    whole(message, length).map(Some)
}

fn whole(message: Vec<u8>, length: u64) -> io::Result<Vec<u8>> {
    if message.len() as u64 == length { Ok(message) } else { Err(ErrorKind::UnexpectedEof.into()) }
}

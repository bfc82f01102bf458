//! The numbers with which connections and streams are closed, and what they tell a caller about its call.

use quinn::{ConnectionError, ReadError, ReadExactError, VarInt, WriteError};

use crate::fabric::CallError;

/// The node stops.
pub(super) const STOPPING: VarInt = VarInt::from_u32(1);
/// The peer is no member of the fleet; none of its streams was read.
pub(super) const NOT_ADMITTED: VarInt = VarInt::from_u32(2);
/// The peer has no certificate and asked for something else than to join; it was not done.
pub(super) const NO_CERTIFICATE: VarInt = VarInt::from_u32(3);
/// The peer was removed from the fleet while it was connected.
pub(super) const REMOVED: VarInt = VarInt::from_u32(4);
/// The connection is not needed: nothing is under way on it.
pub(super) const UNUSED: VarInt = VarInt::from_u32(5);
/// There are too many connections; none of the streams was read.
pub(super) const FULL: VarInt = VarInt::from_u32(6);

/// The stream's bytes are not what they should be; nothing was done.
pub(super) const MALFORMED: VarInt = VarInt::from_u32(16);
/// The stream's frame is longer than may be; nothing was done.
pub(super) const TOO_LONG: VarInt = VarInt::from_u32(17);
/// The stream's bytes came too slowly; nothing was done.
pub(super) const SLOW: VarInt = VarInt::from_u32(18);
/// The call was not answered by its deadline; it may have been done.
pub(super) const DEADLINE: VarInt = VarInt::from_u32(19);

/// The caller did not take the answer in time.
pub(super) const SLOW_READER: VarInt = VarInt::from_u32(20);

/// Errors of TLS are those of QUIC from here on, one for each alert.
const CRYPTO: std::ops::RangeInclusive<u64> = 0x100..=0x1ff;

/// What the end of its connection says about a call that was sent on it.
pub(super) fn of_connection(error: &ConnectionError) -> CallError {
    let never_read = match error {
        ConnectionError::ConnectionClosed(close) => CRYPTO.contains(&u64::from(close.error_code)),
        ConnectionError::ApplicationClosed(close) => {
            [NOT_ADMITTED, NO_CERTIFICATE, UNUSED, FULL].contains(&close.error_code)
        }
        ConnectionError::TransportError(_) | ConnectionError::VersionMismatch | ConnectionError::CidsExhausted => false,
        ConnectionError::Reset | ConnectionError::TimedOut | ConnectionError::LocallyClosed => false,
    };
    of(never_read, why(error))
}

/// Why there is no connection.
pub(super) fn why(error: &ConnectionError) -> String {
    match error {
        ConnectionError::ApplicationClosed(close) => {
            format!("the peer closed the connection: {}", String::from_utf8_lossy(&close.reason))
        }
        ConnectionError::ConnectionClosed(close) if CRYPTO.contains(&u64::from(close.error_code)) => {
            format!("the peer refused this node's certificate: {}", String::from_utf8_lossy(&close.reason))
        }
        ConnectionError::TransportError(error) if CRYPTO.contains(&u64::from(error.code)) => {
            format!("the peer's certificate is refused: {}", error.reason)
        }
        ConnectionError::TimedOut => "nothing came from the peer".to_owned(),
        ConnectionError::LocallyClosed => "this node closed the connection".to_owned(),
        other => other.to_string(),
    }
}

/// What the end of its stream says about a call.
fn of_stream(code: VarInt) -> CallError {
    match code {
        MALFORMED => of(true, "the peer could not read the frame".to_owned()),
        TOO_LONG => of(true, "the frame is longer than the peer takes".to_owned()),
        SLOW => of(true, "the frame came too slowly for the peer".to_owned()),
        DEADLINE => of(false, "the peer did not finish it in time".to_owned()),
        SLOW_READER => of(false, "this node did not take the answer in time".to_owned()),
        other => of(false, format!("the peer ended the stream with {other}")),
    }
}

fn of(surely_not_done: bool, why: String) -> CallError {
    if surely_not_done { CallError::Unreachable { why } } else { CallError::Unknown { why } }
}

/// What an error while sending a call says about it. A frame that was not sent to its end was not done.
pub(super) fn of_write(error: &WriteError) -> CallError {
    let why = match error {
        WriteError::ConnectionLost(error) => why(error),
        WriteError::Stopped(code) => return of(true, of_stream(*code).to_string()),
        other => other.to_string(),
    };
    CallError::Unreachable { why }
}

/// What an error while reading the answer of a call says about the call.
pub(super) fn of_read(error: &ReadExactError) -> CallError {
    match error {
        ReadExactError::ReadError(ReadError::ConnectionLost(error)) => of_connection(error),
        ReadExactError::ReadError(ReadError::Reset(code)) => of_stream(*code),
        other => of(false, other.to_string()),
    }
}

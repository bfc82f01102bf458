//! The bounds of the fabric over QUIC, each with its reason, and QUIC's own settings that follow from them.

use std::time::Duration;

use quinn::{IdleTimeout, TransportConfig, VarInt};
use skein_protocol::wire::Kind;

/// What both sides must say that they speak. Its number grows when streams are used otherwise than now; frames have
/// versions of their own.
pub(super) const ALPN: &[u8] = b"skein/1";
/// The name in every handshake. Who a peer is says its certificate, not the name under which it was asked.
pub(super) const SERVER_NAME: &str = "fleet.skein";

/// A connection over which nothing comes for this long is lost: a peer that died is noticed by all its callers.
const IDLE_TIMEOUT: VarInt = VarInt::from_u32(5_000);
/// Often enough that two lost packets in a row do not lose a connection.
const KEEP_ALIVE: Duration = Duration::from_secs(2);
/// A connection that this node dialled and did not use for so long is closed: in a large fleet most pairs of nodes
/// rarely speak, and each connection costs packets.
pub(super) const UNUSED_AFTER: Duration = Duration::from_secs(10);
/// How often unused connections are looked for.
pub(super) const SWEEP_EVERY: Duration = Duration::from_secs(5);
/// A handshake takes a few round trips; one that takes longer than this is given up.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// So long the close of a fabric waits for its peers to hear of it.
pub(super) const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// How often the close looks whether the socket is free.
pub(super) const FREED_LOOK: Duration = Duration::from_millis(1);

/// Connections that are held for peers: twice a fleet of a thousand nodes.
pub(super) const MAX_CONNECTIONS: usize = 2_048;
/// Handshakes under way at once: each holds tens of kilobytes and a signature's worth of work.
pub(super) const MAX_HANDSHAKES: usize = 256;
/// Bytes of one handshake that wait to be accepted: a peer's first packets.
pub(super) const HANDSHAKE_BYTES: u64 = 64 << 10;
/// With more handshakes under way than this, a peer must first show that it receives at its address.
pub(super) const RETRY_ABOVE: usize = 32;
/// Connections without a certificate, all of which want to join: a whole rack at once.
pub(super) const MAX_STRANGERS: usize = 64;
/// A stranger that has not joined by then is sent away.
pub(super) const STRANGER_LIFETIME: Duration = Duration::from_secs(60);
/// Streams of a stranger: one join, and one more that was begun when the first was given up.
const STRANGER_STREAMS: VarInt = VarInt::from_u32(2);
/// Calls of one peer that are under way at once; further ones wait at the caller.
pub(super) const MEMBER_CALLS: VarInt = VarInt::from_u32(256);
/// One-way frames of one peer that are under way at once.
pub(super) const MEMBER_CASTS: VarInt = VarInt::from_u32(64);
/// Streams of all peers that are served at once; each is a task of a few kilobytes.
pub(super) const MAX_STREAMS: usize = 4_096;

/// Bytes of one connection that wait to be read or are on their way: twice those of a stream, so that a long frame does
/// not hold up short ones.
pub(super) const MEMBER_WINDOW: VarInt = VarInt::from_u32(2 << 20);
/// A stranger sends one short frame.
const STRANGER_WINDOW: VarInt = VarInt::from_u32(128 << 10);
/// Bytes of one stream that wait to be read or are on their way: a local network carries them in a millisecond, and
/// more than that would only overrun the buffers of a peer that is busy.
const STREAM_WINDOW: VarInt = VarInt::from_u32(1 << 20);
/// Bytes of one connection that wait to be acknowledged.
const SEND_WINDOW: u64 = 2 << 20;
/// Frames that are read or answered at once, in KiB of their bytes: three of the largest, sealed and open.
pub(super) const FRAMES_KIB: usize = 448 << 10;

/// A stream whose first bytes have not come by then is idle, and cut.
pub(super) const HEAD_DEADLINE: Duration = Duration::from_secs(5);
/// A whole frame has this long, and a second more for each [`SLOWEST_BYTES`].
const BODY_DEADLINE: Duration = Duration::from_secs(10);
/// The slowest network on which a fleet makes sense: one that carries this in a second.
const SLOWEST_BYTES: usize = 1 << 20;
/// No call is worked on for longer, whatever its caller says.
pub(super) const LONGEST_CALL: Duration = Duration::from_secs(6 * 3600);

/// One-way frames to one peer that wait for their connection or its window; further ones are dropped.
pub(super) const MAX_CASTS_WAITING: usize = 64;
/// A one-way frame that cannot be sent by then is dropped.
pub(super) const CAST_DEADLINE: Duration = Duration::from_secs(3);
/// Addresses that this node calls: as many as it takes connections from.
pub(super) const MAX_LINKS: usize = MAX_CONNECTIONS;
/// Frames longer than this are compressed off the async threads: it takes a millisecond.
pub(super) const LONG_FRAME: usize = 256 << 10;

/// The longest frame of any kind that travels: lengths beyond it are refused before anything else is read.
pub(super) const LONGEST_FRAME: usize = longest();

const fn longest() -> usize {
    let (mut longest, mut at) = (0, 0);
    while at < Kind::TRAVELLING.len() {
        if Kind::TRAVELLING[at].max_bytes() > longest {
            longest = Kind::TRAVELLING[at].max_bytes();
        }
        at += 1;
    }
    longest
}

/// How long the bytes of a frame may take.
pub(super) fn body_deadline(bytes: usize) -> Duration {
    BODY_DEADLINE + Duration::from_secs((bytes / SLOWEST_BYTES) as u64)
}

/// Settings of connections that this node accepts: those of a stranger, until the peer has shown who it is.
pub(super) fn accepting() -> TransportConfig {
    let mut transport = dialling();
    transport
        .max_concurrent_bidi_streams(STRANGER_STREAMS)
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .receive_window(STRANGER_WINDOW)
        .keep_alive_interval(None);
    transport
}

/// Settings of connections that this node dials: it opens the streams, its peer opens none.
pub(super) fn dialling() -> TransportConfig {
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(VarInt::from_u32(0))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .max_idle_timeout(Some(IdleTimeout::from(IDLE_TIMEOUT)))
        .keep_alive_interval(Some(KEEP_ALIVE))
        .receive_window(MEMBER_WINDOW)
        .stream_receive_window(STREAM_WINDOW)
        .send_window(SEND_WINDOW)
        .datagram_receive_buffer_size(None);
    transport
}

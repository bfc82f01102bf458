//! The kinds of frames: their numbers and their limits.

use super::MAX_FRAME_BYTES;

macro_rules! kinds {
    ($($list:ident { $($(#[$doc:meta])* $name:ident = $number:literal, up to $limit:expr;)* })*) => {
        /// What a frame holds. Numbers are written to disks and sent to nodes of other versions: they are added,
        /// never changed.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Kind {
            $($($(#[$doc])* $name = $number,)*)*
        }

        impl Kind {
            /// The kind of a number; None: this build knows none.
            #[must_use]
            pub const fn from_byte(byte: u8) -> Option<Self> {
                match byte {
                    $($($number => Some(Self::$name),)*)*
                    _ => None,
                }
            }

            /// No frame of this kind is longer, header included.
            #[must_use]
            pub const fn max_bytes(self) -> usize {
                match self {
                    $($(Self::$name => $limit,)*)*
                }
            }
        }

        kinds!(@lists $($list { $($name)* })*);
    };
    (@lists STORED { $($stored:ident)* } TRAVELLING { $($travelling:ident)* }) => {
        impl Kind {
            /// The kinds that lie on disks and never travel.
            pub const STORED: [Self; [$(stringify!($stored)),*].len()] = [$(Self::$stored),*];
            /// The kinds that travel between nodes and never lie on a disk.
            pub const TRAVELLING: [Self; [$(stringify!($travelling)),*].len()] = [$(Self::$travelling),*];

            /// Whether frames of this kind travel between nodes.
            #[must_use]
            pub const fn travels(self) -> bool {
                matches!(self, $(Self::$travelling)|*)
            }
        }
    };
}

/// A few numbers; a membership has at most a handful of voters with their addresses.
const FEW_NUMBERS: usize = 1 << 10;
/// A question or an answer with a few names, addresses or certificates in it.
const SHORT: usize = 64 << 10;

kinds! {
    STORED {
        /** An entry of the replicated log: a batch of proposals, see the ledger's limits. */
        LogEntry = 1, up to 16 << 20;
        /** A vote of the consensus protocol. */
        Vote = 2, up to FEW_NUMBERS;
        /** The position of a log entry (purged up to, committed up to). */
        LogPosition = 3, up to FEW_NUMBERS;
        /** What a snapshot covers. */
        SnapshotMeta = 4, up to 64 << 10;
        /** The identity of the node that a ledger belongs to. */
        LedgerIdentity = 6, up to FEW_NUMBERS;
        /** One proposal alone, while it is checked that it can be stored; a batch of two fits a log entry. */
        Proposal = 7, up to 4 << 20;
        /** The state that the log folds into; 5 was one without access tokens. */
        Snapshot = 8, up to MAX_FRAME_BYTES;
    }
    TRAVELLING {
        /** Entries of the log for a follower: up to four full ones. */
        RaftAppend = 16, up to 64 << 20;
        /** A candidate asks for a vote. */
        RaftVote = 17, up to SHORT;
        /** A part of a snapshot for a follower. */
        RaftSnapshot = 18, up to 8 << 20;
        /** Proposals of a follower for the leader: two full entries. */
        Propose = 19, up to 32 << 20;
        /** Which index a read must wait for to be current. */
        ReadIndex = 20, up to SHORT;
        /** A member is alive. */
        Heartbeat = 21, up to SHORT;
        /** Blobs to keep: one of the largest and its name. */
        BlobPut = 22, up to 72 << 20;
        /** Which blobs are wanted; as large as a put because the answer may repeat the question. */
        BlobGet = 23, up to 72 << 20;
        /** A node with free slots asks for work. */
        Steal = 24, up to SHORT;
        /** A batch to run for its owner, with its plan's part. */
        RunBatch = 25, up to 16 << 20;
        /** A node asks for a certificate with a token; the one kind that needs no certificate. */
        Join = 26, up to SHORT;
        /** A node asks for its next certificate with the present one. */
        Renew = 27, up to SHORT;
        /** A message of the membership: a datagram's worth, and room for addresses. */
        Gossip = 28, up to 128 << 10;
        /** A member that holds no authority asks one that does to sign. */
        Sign = 29, up to SHORT;
        /** The answer is no: a problem. */
        Refusal = 30, up to SHORT;
        /** The answer to any call. */
        Answer = 31, up to 72 << 20;
        /** Lines of a node's log. */
        LogLines = 32, up to SHORT;
    }
}

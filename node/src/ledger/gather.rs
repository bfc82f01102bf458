//! Gathering: what waits in a queue becomes one commit, up to a limit in number and bytes.

use tokio::sync::mpsc::UnboundedReceiver;

/// Most items, and most bytes of items, in one commit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Most {
    pub(super) items: usize,
    pub(super) bytes: usize,
}

/// Something of a known size.
pub(super) trait Weighed {
    /// Bytes of its frame.
    fn bytes(&self) -> usize;
}

/// Takes `first` and what is queued behind it, up to the limits; `held` gets what did not fit. A first item of any size is taken.
pub(super) fn gather<T: Weighed>(
    first: T,
    queued: &mut UnboundedReceiver<T>,
    held: &mut Option<T>,
    most: Most,
) -> (Vec<T>, usize) {
    let mut bytes = first.bytes();
    let mut items = vec![first];
    while items.len() < most.items {
        match queued.try_recv() {
            Ok(next) if bytes + next.bytes() <= most.bytes => {
                bytes += next.bytes();
                items.push(next);
            }
            Ok(next) => {
                *held = Some(next);
                break;
            }
            Err(_) => break,
        }
    }
    (items, bytes)
}

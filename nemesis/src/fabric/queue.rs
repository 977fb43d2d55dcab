//! What waits to be delivered on one connection in one direction.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// What a waiting parcel costs besides its bytes, so that tiny ones are bounded as well.
const PARCEL_BYTES: usize = 64;

#[derive(Debug)]
pub(super) enum Content {
    /// A piece of the stream.
    Bytes(Vec<u8>),
    /// A whole message, and its number if somebody follows it.
    Message(Vec<u8>, Option<u64>),
    /// The end of the stream.
    Fin,
    /// The connection was reset.
    Reset,
}

/// Something that waits to be delivered.
#[derive(Debug)]
pub(super) struct Parcel {
    pub(super) content: Content,
    /// When it came.
    pub(super) came: Instant,
    /// When it may be delivered; `None` for at once.
    pub(super) due: Option<Instant>,
    /// Whether those that come later may pass while it waits.
    pub(super) is_held: bool,
    /// After how many of its bytes it stops, and for how long.
    pub(super) stall: Option<(usize, Duration)>,
    /// How much of its bytes has been delivered.
    sent: usize,
}

impl Parcel {
    pub(super) fn new(content: Content) -> Self {
        Self {
            content,
            came: Instant::now(),
            due: None,
            is_held: false,
            stall: None,
            sent: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.bytes().len()
    }

    fn bytes(&self) -> &[u8] {
        match &self.content {
            Content::Bytes(bytes) | Content::Message(bytes, _) => bytes,
            Content::Fin | Content::Reset => &[],
        }
    }

    /// What may be delivered next.
    pub(super) fn next(&self) -> &[u8] {
        let end = self.stall.map_or(self.len(), |(at, _)| at);
        self.bytes().get(self.sent..end).unwrap_or_default()
    }

    fn may_be_passed_by(&self, due: Option<Instant>) -> bool {
        self.is_held && self.sent == 0 && self.due > due
    }
}

/// Parcels in the order in which they will be delivered.
#[derive(Debug, Default)]
pub(super) struct Queue {
    parcels: VecDeque<Parcel>,
    /// What they cost, in bytes.
    cost: usize,
}

impl Queue {
    pub(super) fn head(&self) -> Option<&Parcel> {
        self.parcels.front()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.parcels.is_empty()
    }

    /// What they cost, in bytes.
    pub(super) const fn cost(&self) -> usize {
        self.cost
    }

    /// How many bytes wait.
    pub(super) fn bytes(&self) -> usize {
        self.parcels.iter().map(|one| one.len() - one.sent).sum()
    }

    /// Adds one at the end.
    pub(super) fn push(&mut self, parcel: Parcel) {
        self.cost += parcel.len() + PARCEL_BYTES;
        self.parcels.push_back(parcel);
    }

    /// Adds a message that passes those that are held back longer; how many these are.
    pub(super) fn pass(&mut self, parcel: Parcel) -> usize {
        let passed = |other: &&Parcel| other.may_be_passed_by(parcel.due);
        let passed = self.parcels.iter().rev().take_while(passed).count();
        self.cost += parcel.len() + PARCEL_BYTES;
        self.parcels.insert(self.parcels.len() - passed, parcel);
        passed
    }

    /// Notes that so many bytes of the first were delivered. The first, if that was the last of
    /// it; `true` if it stops for a while.
    pub(super) fn sent(&mut self, n: usize) -> (Option<Parcel>, bool) {
        let Some(head) = self.parcels.front_mut() else {
            return (None, false);
        };
        head.sent += n;
        self.cost -= n;
        if let Some((_, time)) = head.stall.take_if(|(at, _)| *at == head.sent) {
            head.due = Some(Instant::now() + time);
            return (None, true);
        }
        if head.sent < head.len() {
            return (None, false);
        }
        self.cost -= PARCEL_BYTES;
        (self.parcels.pop_front(), false)
    }

    /// The numbers of messages that are still here.
    pub(super) fn messages(&self) -> impl Iterator<Item = u64> {
        self.parcels
            .iter()
            .filter_map(|parcel| match parcel.content {
                Content::Message(_, number) => number,
                _ => None,
            })
    }
}

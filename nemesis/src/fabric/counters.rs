//! What a directed link did: the proof that a fault bit.

use std::ops::{AddAssign, Sub};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde::Serialize;

/// The counters as data, and while they count.
macro_rules! counters {
    ($($(#[doc = $doc:literal])+ $name:ident,)+) => {
        /// What a directed link (from, to) did since the fabric was opened.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
        pub struct Counters {
            $($(#[doc = $doc])+ pub $name: u64,)+
        }

        impl AddAssign for Counters {
            fn add_assign(&mut self, more: Self) {
                $(self.$name += more.$name;)+
            }
        }

        impl Sub for Counters {
            type Output = Self;

            fn sub(self, earlier: Self) -> Self {
                Self { $($name: self.$name.saturating_sub(earlier.$name),)+ }
            }
        }

        /// The counters while they count.
        #[derive(Debug, Default)]
        pub(super) struct Tally {
            $(pub(super) $name: AtomicU64,)+
        }

        impl Tally {
            pub(super) fn read(&self) -> Counters {
                Counters { $($name: self.$name.load(Relaxed),)+ }
            }
        }
    };
}

counters! {
    /// Bytes delivered to `to`.
    bytes_forwarded,
    /// Bytes that arrived late because of a delay.
    bytes_delayed,
    /// Bytes that were held back by a cut.
    bytes_held,
    /// Bytes that had to wait because the bandwidth was used up.
    bytes_throttled,
    /// Bytes that were taken for an end that was gone.
    bytes_swallowed,
    /// Chunks and messages that were delivered after their time had come, and had had one.
    late,
    /// How late these were, in microseconds, added up.
    late_us,
    /// Chunks that stopped in their middle.
    stalls,
    /// Connections that `from` dialled and `to` accepted.
    opened,
    /// Connections that `from` dialled and that were refused.
    refused,
    /// Connections that were reset by the rule of this link, whichever side dialled.
    reset,
    /// Connections that `from` dialled while either direction was cut.
    attempts_while_cut,
    /// Connections of which only the end at `to` was reset.
    half_opened,
    /// Connections of whose end `to` was told late.
    slowly_closed,
    /// Messages that were dropped.
    omitted,
    /// Messages of which a second copy was sent.
    duplicated,
    /// Messages that overtook another.
    overtook,
    /// Messages that were changed.
    corrupted,
    /// Packets that were dropped by chance, on a switch.
    packets_lost,
    /// Packets that were delivered twice.
    packets_duplicated,
    /// Packets that were held back and that others overtook.
    packets_overtaken,
    /// Packets of which a bit was flipped.
    packets_corrupted,
}

/// Counts `amount` more. A statistic orders nothing else, so no stronger ordering is needed.
pub(super) fn count(counter: &AtomicU64, amount: usize) {
    counter.fetch_add(amount as u64, Relaxed);
}

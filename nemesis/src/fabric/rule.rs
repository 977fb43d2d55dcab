//! What a directed link does to the bytes that flow over it.

use std::time::Duration;

/// How late bytes arrive: `base` plus a share of `jitter`, drawn anew for each chunk that is read.
/// Bytes of one connection never overtake each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delay {
    /// The least delay.
    pub base: Duration,
    /// The most that is added to it, uniformly.
    pub jitter: Duration,
}

impl Delay {
    /// Whether there is none.
    pub fn is_zero(&self) -> bool {
        self.base.is_zero() && self.jitter.is_zero()
    }

    /// The delay at `share` (0 to 1) of the jitter.
    pub fn at(&self, share: f64) -> Duration {
        self.base + self.jitter.mul_f64(share.clamp(0.0, 1.0))
    }
}

/// The rule of one directed link (from, to). It governs the bytes that flow from `from` to `to`,
/// whichever side dialled the connection that carries them. The default changes nothing.
///
/// A switch applies it to packets, those that establish connections too: what a cut holds back is
/// dropped, for the sender's kernel to send again; bytes are counted with their headers.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rule {
    /// Bytes arrive late. Establishing a connection is not delayed.
    pub delay: Delay,
    /// Silence: bytes, ends and resets of connections are neither lost nor delivered until it is
    /// lifted, as TCP would deliver them by retransmission; a sender feels backpressure when a
    /// bounded buffer is full. A connection attempt hangs while either direction is cut.
    pub cut: bool,
    /// Connections that `from` dials to `to` are reset at once; existing ones stay.
    pub refuse: bool,
    /// Existing connections that carry bytes from `from` to `to` are reset (RST to both ends) when
    /// the rule is set, and each new one when it is as old as this.
    pub reset: Option<Duration>,
    /// All connections of the link together carry no more than this.
    pub bandwidth: Option<Bandwidth>,
    /// What becomes of single packets; only a switch has them.
    pub packets: Packets,
}

/// A token bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bandwidth {
    /// In the long run, in bytes per second; at least one.
    pub rate: u64,
    /// What passes at once after a silence, in bytes.
    pub burst: u64,
}

impl Bandwidth {
    /// How long so many bytes take.
    pub(super) fn time_of(&self, bytes: u64) -> Duration {
        Duration::from_secs_f64(bytes as f64 / self.rate.max(1) as f64)
    }
}

/// What becomes of single packets. Probabilities are from 0 to 1, of each packet by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Packets {
    /// How likely one is lost.
    pub loss: f64,
    /// How likely one arrives twice.
    pub duplication: f64,
    /// How likely one is held back while those sent after it pass.
    pub reordering: f64,
    /// How likely one bit of its payload is flipped.
    pub corruption: f64,
}

impl Packets {
    /// Whether every packet arrives once, as it is, in its turn.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Both at once: of each fault the likelier.
    fn over(self, base: &Self) -> Self {
        Self {
            loss: self.loss.max(base.loss),
            duplication: self.duplication.max(base.duplication),
            reordering: self.reordering.max(base.reordering),
            corruption: self.corruption.max(base.corruption),
        }
    }
}

impl Rule {
    /// Both rules at once: their delays add up.
    #[must_use]
    pub(super) fn over(self, base: &Self) -> Self {
        Self {
            delay: Delay {
                base: self.delay.base + base.delay.base,
                jitter: self.delay.jitter + base.delay.jitter,
            },
            cut: self.cut || base.cut,
            refuse: self.refuse || base.refuse,
            reset: self.reset.or(base.reset),
            bandwidth: self.bandwidth.or(base.bandwidth),
            packets: self.packets.over(&base.packets),
        }
    }

    /// Bytes arrive late.
    pub fn delay(base: Duration, jitter: Duration) -> Self {
        Self {
            delay: Delay { base, jitter },
            ..Self::default()
        }
    }

    /// Silence.
    pub fn cut() -> Self {
        Self {
            cut: true,
            ..Self::default()
        }
    }

    /// New connections are reset at once.
    pub fn refuse() -> Self {
        Self {
            refuse: true,
            ..Self::default()
        }
    }

    /// Existing connections are reset now, new ones when they are as old as `after`.
    pub fn reset(after: Duration) -> Self {
        Self {
            reset: Some(after),
            ..Self::default()
        }
    }

    /// What becomes of single packets.
    pub fn packets(packets: Packets) -> Self {
        Self {
            packets,
            ..Self::default()
        }
    }

    /// Whether bytes pass as if there were no fabric.
    pub(crate) fn is_transparent(&self) -> bool {
        !self.cut && self.delay.is_zero()
    }
}

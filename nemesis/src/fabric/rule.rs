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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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

    /// Whether bytes pass as if there were no fabric.
    pub(crate) fn is_transparent(&self) -> bool {
        !self.cut && self.delay.is_zero()
    }
}

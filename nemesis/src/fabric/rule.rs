//! What a directed link does to the bytes, and to the messages, that flow over it.

use std::time::Duration;

use super::spread::Delay;

/// The least that is read at once from a link whose bandwidth is limited, in bytes.
const SIP_BYTES_MIN: u64 = 512;

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
    /// Some chunks stop in their middle for a while; whatever follows them waits too.
    pub stall: Option<Stall>,
    /// The end at `to` of connections that exist when the rule is set is reset, and the one at
    /// `from` is not told: what it sends is swallowed, until the rule is lifted and it is reset.
    pub half_open: bool,
    /// The end at `from` of connections that exist when the rule is set is closed at once, and
    /// `to` is told so this much later; so are ends and resets that come by themselves.
    pub slow_close: Option<Duration>,
    /// What becomes of single messages, on links that carry lines of the wire protocol.
    pub messages: Messages,
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

    /// The most that is read at once, in bytes: so little that it passes smoothly.
    pub(super) fn sip(&self) -> usize {
        (self.rate / 100).max(SIP_BYTES_MIN) as usize
    }

    /// The most that waits, in bytes: a quarter of a second, lest all that was sent before the
    /// rule is lifted takes minutes to pass.
    pub(super) fn waits(&self) -> usize {
        (self.rate / 4).max(4 * SIP_BYTES_MIN) as usize
    }
}

/// Chunks that stop in their middle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stall {
    /// How likely a chunk is to (0 to 1).
    pub probability: f64,
    /// For how long.
    pub time: Duration,
}

/// What becomes of single messages. Probabilities are from 0 to 1, of each message by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Messages {
    /// How likely one is dropped.
    pub omission: f64,
    /// How likely one arrives twice.
    pub duplication: f64,
    /// How likely one is held back while those sent after it pass.
    pub reordering: f64,
    /// How long one is held back, and how much later the second copy of one comes: from nothing
    /// to this.
    pub hold: Duration,
    /// How likely one is changed on its way.
    pub corruption: f64,
    /// In which ways.
    pub lies: Lies,
}

/// Ways to change a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lies {
    /// A field of its body says something else.
    pub flip: bool,
    /// Another node seems to have sent it.
    pub forge: bool,
    /// Each receiver is told something else in the same field: whether and where a message is
    /// changed depends on what it says, and how on whom it is for.
    pub equivocate: bool,
}

impl Messages {
    /// Whether every message arrives once, as it is, in its turn.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Both at once: of each fault the likelier.
    fn over(self, base: &Self) -> Self {
        Self {
            omission: self.omission.max(base.omission),
            duplication: self.duplication.max(base.duplication),
            reordering: self.reordering.max(base.reordering),
            hold: self.hold.max(base.hold),
            corruption: self.corruption.max(base.corruption),
            lies: Lies {
                flip: self.lies.flip || base.lies.flip,
                forge: self.lies.forge || base.lies.forge,
                equivocate: self.lies.equivocate || base.lies.equivocate,
            },
        }
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
    /// Both rules at once: their delays add up, the narrower bandwidth holds.
    #[must_use]
    pub(super) fn over(self, base: &Self) -> Self {
        let narrower = |a: Bandwidth, b: Bandwidth| if a.rate <= b.rate { a } else { b };
        Self {
            delay: self.delay.over(&base.delay),
            cut: self.cut || base.cut,
            refuse: self.refuse || base.refuse,
            reset: self.reset.or(base.reset),
            bandwidth: match (self.bandwidth, base.bandwidth) {
                (Some(a), Some(b)) => Some(narrower(a, b)),
                (one, other) => one.or(other),
            },
            stall: self.stall.or(base.stall),
            half_open: self.half_open || base.half_open,
            slow_close: self.slow_close.max(base.slow_close),
            messages: self.messages.over(&base.messages),
            packets: self.packets.over(&base.packets),
        }
    }

    /// Bytes arrive late.
    pub fn delay(base: Duration, jitter: Duration) -> Self {
        let delay = Delay {
            base,
            jitter,
            ..Delay::default()
        };
        Self {
            delay,
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

    /// What becomes of single messages.
    pub fn messages(messages: Messages) -> Self {
        Self {
            messages,
            ..Self::default()
        }
    }

    /// Whether bytes pass as if there were no fabric.
    pub(crate) fn is_transparent(&self) -> bool {
        !self.cut && !self.makes_late()
    }

    /// Whether it does something to connections that single lines don't have.
    pub(super) fn is_about_connections(&self) -> bool {
        self.refuse
            || self.reset.is_some()
            || self.stall.is_some()
            || self.half_open
            || self.slow_close.is_some()
            || !self.packets.is_none()
    }

    /// Whether anything may have to wait for its time.
    pub(super) fn makes_late(&self) -> bool {
        !self.delay.is_zero()
            || self.bandwidth.is_some()
            || self.stall.is_some()
            || self.slow_close.is_some()
            || !self.messages.is_none()
    }
}

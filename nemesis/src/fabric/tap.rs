//! Whole lines as they pass: sent, delivered, lost.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use tribunal_results::NodeId;

use super::rule::Rule;

/// The longest line that is looked at, in bytes; longer ones pass unseen.
const LINE_BYTES_MAX: usize = 1 << 20;

/// Somebody who listens to what nodes send each other. Called on the threads that carry bytes, so
/// it must be quick.
pub trait Tap: Send + Sync + fmt::Debug {
    /// A line came from its sender. The number by which it is told what becomes of it; `None` of
    /// one that it does not want to follow.
    fn sent(&self, from: &NodeId, to: &NodeId, line: &[u8]) -> Option<u64>;

    /// The whole line was handed to its receiver's kernel.
    fn delivered(&self, message: u64);

    /// The line, or the end of it, will never be delivered.
    fn lost(&self, message: u64, why: &'static str);

    /// The line was doubled, held back, or changed before it is delivered.
    fn altered(&self, message: u64, how: &'static str);
}

/// Who listens, and to which nodes.
#[derive(Clone, Debug)]
pub struct Listener {
    /// Hears each line between two of the nodes.
    pub tap: Arc<dyn Tap>,
    /// The nodes.
    pub nodes: Vec<NodeId>,
}

/// A tap on the bytes of one direction between two nodes.
#[derive(Clone, Debug)]
pub(super) struct Tapped {
    pub(super) tap: Arc<dyn Tap>,
    pub(super) from: NodeId,
    pub(super) to: NodeId,
}

/// The lines of one connection in one direction.
#[derive(Debug)]
pub(super) struct Passage {
    pub(super) tapped: Tapped,
    /// The beginning of a line that has not ended yet.
    begun: Vec<u8>,
    /// Whether that line is too long to be looked at.
    skipped: bool,
    /// Bytes that came, and bytes that were handed on.
    came: u64,
    gone: u64,
    /// Lines on their way: where each ends, and its number.
    waiting: VecDeque<(u64, u64)>,
    why: &'static str,
}

impl Passage {
    pub(super) fn new(tapped: Tapped) -> Self {
        Self {
            tapped,
            begun: Vec::new(),
            skipped: false,
            came: 0,
            gone: 0,
            waiting: VecDeque::new(),
            why: "its connection ended",
        }
    }

    /// Bytes came from the sender.
    pub(super) fn came(&mut self, mut bytes: &[u8]) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let (line, rest) = bytes.split_at(end);
            bytes = rest.get(1..).unwrap_or_default();
            self.came += end as u64 + 1;
            self.keep(line);
            let line = std::mem::take(&mut self.begun);
            if !std::mem::take(&mut self.skipped) {
                let number = self.heard(&line);
                self.waiting
                    .extend(number.map(|number| (self.came, number)));
            }
            self.begun = line;
            self.begun.clear();
        }
        self.came += bytes.len() as u64;
        self.keep(bytes);
    }

    /// A whole line came, without its end, whose way is followed by whoever carries it.
    pub(super) fn heard(&self, line: &[u8]) -> Option<u64> {
        let Tapped { tap, from, to } = &self.tapped;
        tap.sent(from, to, line)
    }

    /// Why what is still on its way would be lost now.
    pub(super) const fn why(&self) -> &'static str {
        self.why
    }

    /// The end at the receiver is gone, and the sender does not know it.
    pub(super) const fn half_open(&mut self) {
        self.why = "its connection was half-open";
    }

    fn keep(&mut self, part: &[u8]) {
        if self.begun.len() + part.len() > LINE_BYTES_MAX {
            self.skipped = true;
        }
        if self.skipped {
            self.begun.clear();
        } else {
            self.begun.extend_from_slice(part);
        }
    }

    /// So many bytes were handed on.
    pub(super) fn gone(&mut self, bytes: usize) {
        self.gone += bytes as u64;
        while let Some(&(end, number)) = self.waiting.front()
            && end <= self.gone
        {
            self.waiting.pop_front();
            self.tapped.tap.delivered(number);
        }
    }

    /// Remembers under which rule the connection is, for when it ends.
    pub(super) const fn under(&mut self, rule: &Rule) {
        self.why = if rule.cut {
            "its connection ended while the link was cut"
        } else if rule.reset.is_some() {
            "its connection was reset"
        } else {
            "its connection ended"
        };
    }
}

impl Drop for Passage {
    fn drop(&mut self) {
        for (_, number) in self.waiting.drain(..) {
            self.tapped.tap.lost(number, self.why);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// Numbers lines by their length and notes what it hears.
    #[derive(Debug, Default)]
    struct Notes(Mutex<Vec<String>>);

    impl Notes {
        fn note(&self, text: String) {
            self.0.lock().unwrap().push(text);
        }
    }

    impl Tap for Notes {
        fn sent(&self, from: &NodeId, to: &NodeId, line: &[u8]) -> Option<u64> {
            self.note(format!("{from}→{to} {}", String::from_utf8_lossy(line)));
            (!line.is_empty()).then_some(line.len() as u64)
        }

        fn delivered(&self, message: u64) {
            self.note(format!("delivered {message}"));
        }

        fn lost(&self, message: u64, why: &'static str) {
            self.note(format!("lost {message}: {why}"));
        }

        fn altered(&self, message: u64, how: &'static str) {
            self.note(format!("altered {message}: {how}"));
        }
    }

    fn heard(act: impl FnOnce(&mut Passage)) -> Vec<String> {
        let notes = Arc::new(Notes::default());
        let mut passage = Passage::new(Tapped {
            tap: Arc::clone(&notes) as Arc<dyn Tap>,
            from: "n1".into(),
            to: "n2".into(),
        });
        act(&mut passage);
        drop(passage);
        std::mem::take(&mut *notes.0.lock().unwrap())
    }

    #[test]
    fn lines_are_followed_however_their_bytes_are_cut() {
        let notes = heard(|passage| {
            for part in ["a", "b\nc", "de\n\nfghi\nj"] {
                passage.came(part.as_bytes());
            }
            passage.gone(2);
            passage.gone(1);
            passage.gone(5);
            passage.under(&Rule::cut());
        });
        let expected = [
            "n1→n2 ab",
            "n1→n2 cde",
            "n1→n2 ",
            "n1→n2 fghi",
            "delivered 2",
            "delivered 3",
            "lost 4: its connection ended while the link was cut",
        ];
        assert_eq!(notes, expected);
    }

    #[test]
    fn a_line_that_is_too_long_passes_unseen_and_the_next_does_not() {
        let notes = heard(|passage| {
            let long = vec![b'x'; LINE_BYTES_MAX + 1];
            passage.came(&long);
            passage.came(b"y\nz\n");
            passage.gone(long.len() + 4);
        });
        assert_eq!(notes, ["n1→n2 z", "delivered 1"]);
    }
}

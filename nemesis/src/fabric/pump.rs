//! The bytes of one connection in one direction.
//!
//! Without a rule a chunk is written as soon as it is read. What can't be written yet (delayed,
//! cut, throttled, or the reader is slow) waits as parcels in a bounded queue. The end of the
//! stream and its reset are parcels too, so that a rule governs them just as it governs bytes;
//! while a rule is about single messages, each whole line is a parcel.
//!
//! Bulk takes a shorter way: once a read has filled the whole buffer, bytes go from socket to socket
//! inside the kernel, until the rule changes. What is then on that way becomes the first parcel.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::watch;
use tokio::time::Instant;

use super::counters::count;
use super::fate::Fate;
use super::frames::{Frames, Piece};
use super::lane::Lane;
use super::queue::{Content, Parcel, Queue};
use super::rule::{Bandwidth, Rule};
#[cfg(target_os = "linux")]
use super::splice::{Passed, Pipe};
use super::tap::Passage;
use super::timer::Alarm;

/// The most that is read at once, in bytes.
pub(super) const CHUNK_BYTES: usize = 64 * 1024;

/// Beyond this nothing more is read, so that the sender feels backpressure.
const QUEUE_BYTES_MAX: usize = 1024 * 1024;

/// The connection is to be reset at both ends.
#[derive(Debug)]
pub(super) struct Aborted;

/// Carries bytes from one socket to another under the rule of their lane.
#[derive(Debug)]
pub(super) struct Pump<'a> {
    reader: ReadHalf<'a>,
    writer: WriteHalf<'a>,
    lane: Arc<Lane>,
    rule: watch::Receiver<Rule>,
    /// The rule of the opposite direction, in which resets from `writer`'s side travel.
    back: watch::Receiver<Rule>,
    queue: Queue,
    /// Whether more may come from the reader.
    open: bool,
    /// Whether its bytes may stay inside the kernel: nobody looks at them.
    may_rush: bool,
    /// Whether it comes faster than it is read.
    is_bulk: bool,
    /// Its lines, if somebody listens.
    passage: Option<Passage>,
    /// Its lines, if they are those of the wire protocol.
    frames: Option<Frames>,
    alarm: Alarm,
}

impl<'a> Pump<'a> {
    pub(super) fn new(
        reader: ReadHalf<'a>,
        writer: WriteHalf<'a>,
        lane: &Arc<Lane>,
        back: &Lane,
    ) -> Self {
        Self {
            reader,
            writer,
            rule: lane.rule(),
            back: back.rule(),
            lane: Arc::clone(lane),
            queue: Queue::default(),
            open: true,
            may_rush: lane.origin.tapped.is_none() && !lane.origin.is_framed,
            is_bulk: false,
            passage: lane.origin.tapped.clone().map(Passage::new),
            frames: lane.origin.is_framed.then(Frames::default),
            alarm: Alarm::new(&lane.origin.timer),
        }
    }

    /// Carries until the end of the stream is delivered, `early` before all else.
    pub(super) async fn run(mut self, early: Vec<u8>) -> Result<(), Aborted> {
        if !early.is_empty() {
            let rule = *self.rule.borrow();
            self.take(&rule, &early);
        }
        let mut buffer = vec![0; CHUNK_BYTES];
        let mut was_cut = false;
        loop {
            let rule = *self.rule.borrow_and_update();
            if rule.cut && !was_cut {
                count(&self.lane.tally.bytes_held, self.queue.bytes());
            }
            was_cut = rule.cut;
            if let Some(passage) = &mut self.passage {
                passage.under(&rule);
            }
            if self.open && self.is_bulk && rule.is_transparent() && self.queue.is_empty() {
                self.rush().await?;
                continue;
            }
            let wait = self.wait_of_head(&rule);
            match (wait, self.queue.head().map(|head| &head.content)) {
                (Wait::Ready, Some(Content::Reset)) => return Err(Aborted),
                (Wait::Ready, Some(Content::Fin)) => {
                    return self.writer.shutdown().await.map_err(|_| Aborted);
                }
                _ => {}
            }
            let next = self.queue.head().map(Parcel::next).unwrap_or_default();
            let (sip, waits) = appetite(rule.bandwidth.as_ref());
            tokio::select! {
                biased;
                changed = self.rule.changed() => changed.map_err(|_| Aborted)?,
                sent = self.writer.write(next), if wait == Wait::Ready => match sent {
                    Ok(n) if n > 0 => self.sent(n),
                    _ => return self.broken().await,
                },
                () = self.alarm.at(wait.instant()) => {}
                got = self.reader.read(buffer.get_mut(..sip).unwrap_or_default()),
                    if self.open && self.queue.cost() < waits =>
                {
                    self.is_bulk = self.may_rush && matches!(got, Ok(CHUNK_BYTES));
                    self.got(got, &buffer).await?;
                }
            }
        }
    }

    /// How long the first parcel has to wait.
    fn wait_of_head(&self, rule: &Rule) -> Wait {
        match self.queue.head() {
            None => Wait::Forever,
            Some(_) if rule.cut => Wait::Forever,
            Some(Parcel { due: Some(due), .. }) if rule.makes_late() && *due > Instant::now() => {
                Wait::Until(*due)
            }
            Some(_) => Wait::Ready,
        }
    }

    /// Takes what was read: straight through if nothing stands in the way, else to the queue.
    async fn got(&mut self, got: std::io::Result<usize>, buffer: &[u8]) -> Result<(), Aborted> {
        // Read anew: the rule may have changed while the bytes were on their way.
        let rule = *self.rule.borrow();
        let bytes = match got {
            Ok(0) => return self.end(&rule, Content::Fin),
            Err(_) => return self.end(&rule, Content::Reset),
            Ok(n) => buffer.get(..n).unwrap_or_default(),
        };
        if !rule.is_transparent() || !self.queue.is_empty() {
            self.take(&rule, bytes);
            return Ok(());
        }
        self.pass_rest(&rule);
        if !self.queue.is_empty() {
            self.post_bytes(&rule, bytes.to_vec());
            return Ok(());
        }
        self.heard(bytes);
        match self.writer.try_write(bytes) {
            Ok(n) => {
                self.handed_on(n);
                let rest = bytes.get(n..).unwrap_or_default();
                if !rest.is_empty() {
                    self.queue.push(Parcel::new(Content::Bytes(rest.to_vec())));
                }
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock => {
                self.queue.push(Parcel::new(Content::Bytes(bytes.to_vec())));
            }
            Err(_) => return self.broken().await,
        }
        Ok(())
    }

    /// Nothing passes inside the kernel here.
    #[cfg(not(target_os = "linux"))]
    async fn rush(&mut self) -> Result<(), Aborted> {
        self.may_rush = false;
        self.is_bulk = false;
        Ok(())
    }

    /// Lets bytes pass inside the kernel until the rule changes or the stream ends.
    #[cfg(target_os = "linux")]
    async fn rush(&mut self) -> Result<(), Aborted> {
        self.is_bulk = false;
        let Some(mut pipe) = Pipe::open() else {
            return Ok(());
        };
        let ended = loop {
            tokio::select! {
                biased;
                changed = self.rule.changed() => {
                    changed.map_err(|_| Aborted)?;
                    break None;
                }
                passed = pipe.pass(self.reader.as_ref(), self.writer.as_ref()) => match passed {
                    Passed::In => {}
                    Passed::On(n) => count(&self.lane.tally.bytes_forwarded, n),
                    Passed::End => break Some(Content::Fin),
                    Passed::Reset => break Some(Content::Reset),
                    Passed::Broken => return self.broken().await,
                    Passed::Impossible => {
                        self.may_rush = false;
                        break None;
                    }
                },
            }
        };
        let rest = pipe.rest().map_err(|_| Aborted)?;
        if !rest.is_empty() {
            self.queue.push(Parcel::new(Content::Bytes(rest)));
        }
        let rule = *self.rule.borrow();
        ended.map_or(Ok(()), |content| self.end(&rule, content))
    }

    fn end(&mut self, rule: &Rule, content: Content) -> Result<(), Aborted> {
        self.open = false;
        self.pass_rest(rule);
        let mut parcel = Parcel::new(content);
        parcel.due = self.due(rule, 0, parcel.came);
        if let Some(late) = rule.slow_close {
            count(&self.lane.tally.slowly_closed, 1);
            parcel.due = Some(parcel.due.unwrap_or(parcel.came) + late);
        }
        self.queue.push(parcel);
        Ok(())
    }

    /// Lets bytes wait for their turn; message by message if the rule is about messages.
    fn take(&mut self, rule: &Rule, bytes: &[u8]) {
        let is_framed = self.frames.is_some();
        if rule.messages.is_none() || !is_framed {
            self.pass_rest(rule);
            self.post_bytes(rule, bytes.to_vec());
            return;
        }
        let pieces = self.frames.as_mut().map(|frames| frames.split(bytes));
        for piece in pieces.unwrap_or_default() {
            match piece {
                Piece::Bytes(bytes) => self.post(rule, Content::Bytes(bytes)),
                Piece::Line(line) => self.post_message(rule, line),
            }
        }
    }

    /// Lets the beginning of a line that was kept until it is whole pass as it is.
    fn pass_rest(&mut self, rule: &Rule) {
        let rest = self.frames.as_mut().map(Frames::rest).unwrap_or_default();
        if !rest.is_empty() {
            self.post_bytes(rule, rest);
        }
    }

    fn post_bytes(&mut self, rule: &Rule, bytes: Vec<u8>) {
        if let Some(frames) = &mut self.frames {
            frames.passed(&bytes);
        }
        self.post(rule, Content::Bytes(bytes));
    }

    /// Tells whoever listens to the stream of it.
    fn heard(&mut self, bytes: &[u8]) {
        if let Some(frames) = &mut self.frames {
            frames.passed(bytes);
        }
        if let Some(passage) = &mut self.passage {
            passage.came(bytes);
        }
    }

    /// Lets a message meet its fate.
    fn post_message(&mut self, rule: &Rule, mut line: Vec<u8>) {
        let tapped = self.passage.as_ref();
        let number = tapped.and_then(|passage| passage.heard(line.trim_ascii_end()));
        let Fate {
            is_dropped,
            again,
            held,
            lie,
        } = self.lane.fate(rule, &line);
        let tally = &self.lane.tally;
        let altered = |how| {
            if let (Some(passage), Some(number)) = (tapped, number) {
                passage.tapped.tap.altered(number, how);
            }
        };
        if is_dropped {
            count(&tally.omitted, 1);
            if let (Some(passage), Some(number)) = (tapped, number) {
                passage.tapped.tap.lost(number, "it was omitted");
            }
            return;
        }
        if let Some((changed, lie)) = lie {
            count(&tally.corrupted, 1);
            altered(lie.text());
            line = changed;
        }
        if held.is_some() {
            altered("it was held back");
        }
        let copy = again.map(|after| (line.clone(), after));
        if copy.is_some() {
            count(&tally.duplicated, 1);
            altered("it was duplicated");
        }
        self.post_held(rule, Content::Message(line, number), held);
        if let Some((line, after)) = copy {
            self.post_held(rule, Content::Message(line, None), Some(after));
        }
    }

    /// Lets a message wait for its turn; if it is held back, others pass it.
    fn post_held(&mut self, rule: &Rule, content: Content, held: Option<Duration>) {
        let mut parcel = self.parcel(rule, content);
        if let Some(time) = held {
            parcel.due = Some(parcel.due.unwrap_or(parcel.came) + time);
            parcel.is_held = true;
        }
        let passed = self.queue.pass(parcel);
        count(&self.lane.tally.overtook, usize::from(passed > 0));
    }

    /// Lets a part of the stream wait for its turn.
    fn post(&mut self, rule: &Rule, content: Content) {
        if let (Content::Bytes(bytes), Some(passage)) = (&content, &mut self.passage) {
            passage.came(bytes);
        }
        let parcel = self.parcel(rule, content);
        self.queue.push(parcel);
    }

    fn parcel(&self, rule: &Rule, content: Content) -> Parcel {
        let mut parcel = Parcel::new(content);
        let bytes = parcel.len();
        if rule.cut {
            count(&self.lane.tally.bytes_held, bytes);
        }
        parcel.due = self.due(rule, bytes, parcel.came);
        if let Some(stall) = rule.stall.filter(|_| bytes > 1)
            && self.lane.happens(stall.probability)
        {
            parcel.stall = Some((bytes / 2, stall.time));
        }
        parcel
    }

    /// When so many bytes that came now may be delivered, if not at once.
    fn due(&self, rule: &Rule, bytes: usize, now: Instant) -> Option<Instant> {
        let tally = &self.lane.tally;
        let bandwidth = rule.bandwidth.filter(|_| bytes > 0);
        let passed = bandwidth.and_then(|bandwidth| self.lane.pace(&bandwidth, bytes, now));
        if passed.is_some() {
            count(&tally.bytes_throttled, bytes);
        }
        if rule.delay.is_zero() {
            return passed;
        }
        count(&tally.bytes_delayed, bytes);
        Some(passed.unwrap_or(now) + self.lane.draw_delay(&rule.delay))
    }

    /// Notes that so many bytes of the first parcel were delivered.
    fn sent(&mut self, n: usize) {
        let is_message = |head: &Parcel| matches!(head.content, Content::Message(..));
        if self.queue.head().is_some_and(is_message) {
            count(&self.lane.tally.bytes_forwarded, n);
        } else {
            self.handed_on(n);
        }
        let (delivered, stops) = self.queue.sent(n);
        count(&self.lane.tally.stalls, usize::from(stops));
        let Some(parcel) = delivered else { return };
        if parcel.due.is_some() {
            count(&self.lane.tally.late, 1);
            let late = parcel.came.elapsed().as_micros();
            count(&self.lane.tally.late_us, late as usize);
        }
        if let (Content::Message(_, Some(number)), Some(passage)) = (parcel.content, &self.passage)
        {
            passage.tapped.tap.delivered(number);
        }
    }

    fn handed_on(&mut self, n: usize) {
        count(&self.lane.tally.bytes_forwarded, n);
        if let Some(passage) = &mut self.passage {
            passage.gone(n);
        }
    }

    /// The receiving end is gone. The news of it travels in the opposite direction, so that a cut
    /// there keeps it back.
    async fn broken(&mut self) -> Result<(), Aborted> {
        // A closed channel means that the fabric itself is gone; the answer is the same.
        let _ = self.back.wait_for(|rule| !rule.cut).await;
        Err(Aborted)
    }
}

/// Whatever still waits is lost.
impl Drop for Pump<'_> {
    fn drop(&mut self) {
        if let Some(passage) = &self.passage {
            for number in self.queue.messages() {
                passage.tapped.tap.lost(number, passage.why());
            }
        }
    }
}

/// The most that is read at once, and the most that waits, in bytes.
fn appetite(bandwidth: Option<&Bandwidth>) -> (usize, usize) {
    match bandwidth {
        None => (CHUNK_BYTES, QUEUE_BYTES_MAX),
        Some(limited) => (
            limited.sip().min(CHUNK_BYTES),
            limited.waits().min(QUEUE_BYTES_MAX),
        ),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    Ready,
    Until(Instant),
    Forever,
}

impl Wait {
    /// What needs a timer; a parcel that is ready does not.
    const fn instant(self) -> Option<Instant> {
        match self {
            Self::Until(due) => Some(due),
            Self::Ready | Self::Forever => None,
        }
    }
}

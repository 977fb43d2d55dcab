//! The bytes of one connection in one direction.
//!
//! Without a rule a chunk is written as soon as it is read. What can't be written yet (delayed,
//! cut, or the reader is slow) waits as parcels in a bounded queue. The end of the stream and its
//! reset are parcels too, so that a rule governs them just as it governs bytes.

use std::collections::VecDeque;
use std::future::pending;
use std::io::ErrorKind;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::lane::{Lane, count};
use super::rule::Rule;
use super::tap::Passage;

/// The most that is read at once, in bytes.
pub(super) const CHUNK_BYTES: usize = 64 * 1024;

/// Beyond this nothing more is read, so that the sender feels backpressure.
const QUEUE_BYTES_MAX: usize = 1024 * 1024;

/// What a waiting parcel costs besides its bytes, so that tiny ones are bounded as well.
const PARCEL_BYTES: usize = 64;

/// The connection is to be reset at both ends.
#[derive(Debug)]
pub(super) struct Aborted;

#[derive(Debug)]
enum Content {
    Bytes(Vec<u8>),
    Fin,
    Reset,
}

/// Something that waits to be delivered.
#[derive(Debug)]
struct Parcel {
    content: Content,
    /// How much of its bytes has been delivered.
    sent: usize,
    /// When it may be delivered; `None` for at once.
    due: Option<Instant>,
}

impl Parcel {
    fn rest(&self) -> &[u8] {
        match &self.content {
            Content::Bytes(bytes) => bytes.get(self.sent..).unwrap_or_default(),
            Content::Fin | Content::Reset => &[],
        }
    }
}

/// Carries bytes from one socket to another under the rule of their lane.
#[derive(Debug)]
pub(super) struct Pump<'a> {
    reader: ReadHalf<'a>,
    writer: WriteHalf<'a>,
    lane: Arc<Lane>,
    rule: watch::Receiver<Rule>,
    /// The rule of the opposite direction, in which resets from `writer`'s side travel.
    back: watch::Receiver<Rule>,
    queue: VecDeque<Parcel>,
    /// What the queue costs, in bytes.
    queued: usize,
    /// Whether more may come from the reader.
    open: bool,
    /// Its lines, if somebody listens.
    passage: Option<Passage>,
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
            queue: VecDeque::new(),
            queued: 0,
            open: true,
            passage: lane.tapped.clone().map(Passage::new),
        }
    }

    /// Carries until the end of the stream is delivered, `early` before all else.
    pub(super) async fn run(mut self, early: Vec<u8>) -> Result<(), Aborted> {
        if !early.is_empty() {
            let rule = *self.rule.borrow();
            if let Some(passage) = &mut self.passage {
                passage.came(&early);
            }
            self.post(&rule, Content::Bytes(early));
        }
        let mut buffer = vec![0; CHUNK_BYTES];
        let mut was_cut = false;
        loop {
            let rule = *self.rule.borrow_and_update();
            if rule.cut && !was_cut {
                count(&self.lane.tally.bytes_held, self.waiting_bytes());
            }
            was_cut = rule.cut;
            if let Some(passage) = &mut self.passage {
                passage.under(&rule);
            }
            let wait = self.wait_of_head(&rule);
            match (wait, self.queue.front().map(|head| &head.content)) {
                (Wait::Ready, Some(Content::Reset)) => return Err(Aborted),
                (Wait::Ready, Some(Content::Fin)) => {
                    return self.writer.shutdown().await.map_err(|_| Aborted);
                }
                _ => {}
            }
            let rest = self.queue.front().map(Parcel::rest).unwrap_or_default();
            tokio::select! {
                biased;
                changed = self.rule.changed() => changed.map_err(|_| Aborted)?,
                sent = self.writer.write(rest), if wait == Wait::Ready => match sent {
                    Ok(n) if n > 0 => self.sent(n),
                    _ => return self.broken().await,
                },
                () = until(wait) => {}
                got = self.reader.read(&mut buffer),
                    if self.open && self.queued < QUEUE_BYTES_MAX =>
                {
                    self.got(got, &buffer).await?;
                }
            }
        }
    }

    /// How long the first parcel has to wait.
    fn wait_of_head(&self, rule: &Rule) -> Wait {
        match self.queue.front() {
            None => Wait::Forever,
            Some(_) if rule.cut => Wait::Forever,
            Some(Parcel { due: Some(due), .. })
                if !rule.delay.is_zero() && *due > Instant::now() =>
            {
                Wait::Until(*due)
            }
            Some(_) => Wait::Ready,
        }
    }

    /// Takes what was read: straight through if nothing stands in the way, else to the queue.
    async fn got(&mut self, got: std::io::Result<usize>, buffer: &[u8]) -> Result<(), Aborted> {
        // Read anew: the rule may have changed while the bytes were on their way.
        let rule = *self.rule.borrow();
        let mut bytes = match got {
            Ok(0) => return self.end(&rule, Content::Fin),
            Err(_) => return self.end(&rule, Content::Reset),
            Ok(n) => buffer.get(..n).unwrap_or_default(),
        };
        if let Some(passage) = &mut self.passage {
            passage.came(bytes);
        }
        if self.queue.is_empty() && rule.is_transparent() {
            match self.writer.try_write(bytes) {
                Ok(n) => {
                    self.handed_on(n);
                    bytes = bytes.get(n..).unwrap_or_default();
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => {}
                Err(_) => return self.broken().await,
            }
        }
        if !bytes.is_empty() {
            if rule.cut {
                count(&self.lane.tally.bytes_held, bytes.len());
            }
            self.post(&rule, Content::Bytes(bytes.to_vec()));
        }
        Ok(())
    }

    fn end(&mut self, rule: &Rule, content: Content) -> Result<(), Aborted> {
        self.open = false;
        self.post(rule, content);
        Ok(())
    }

    /// Lets a parcel wait for its turn.
    fn post(&mut self, rule: &Rule, content: Content) {
        let mut parcel = Parcel {
            content,
            sent: 0,
            due: None,
        };
        let bytes = parcel.rest().len();
        if !rule.delay.is_zero() {
            count(&self.lane.tally.bytes_delayed, bytes);
            parcel.due = Some(Instant::now() + self.lane.draw_delay(rule));
        }
        self.queued += bytes + PARCEL_BYTES;
        self.queue.push_back(parcel);
    }

    /// Notes that so many bytes of the first parcel were delivered.
    fn sent(&mut self, n: usize) {
        self.handed_on(n);
        self.queued -= n;
        if let Some(head) = self.queue.front_mut() {
            head.sent += n;
            if head.rest().is_empty() {
                self.queue.pop_front();
                self.queued -= PARCEL_BYTES;
            }
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

    fn waiting_bytes(&self) -> usize {
        self.queue.iter().map(|parcel| parcel.rest().len()).sum()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    Ready,
    Until(Instant),
    Forever,
}

/// Ends when the wait is over; a parcel that is ready needs no timer.
async fn until(wait: Wait) {
    match wait {
        Wait::Until(due) => sleep_until(due).await,
        Wait::Ready | Wait::Forever => pending().await,
    }
}

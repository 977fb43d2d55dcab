//! Who held what: kept moment by moment.

use rustc_hash::FxHashMap;
use tribunal_results::{
    Answer, Assumptions, Call, Grant, History, Kind, Operation, Outcome, Scalar,
};

use super::{Clocks, Hold, Point, call, ended, invoked};
use crate::Moment;
use crate::intern::ByToken;
use crate::stream::moments;

/// All locks of a history and all holds of them.
#[derive(Debug)]
pub(crate) struct Book {
    pub(crate) clocks: Clocks,
    ids: FxHashMap<Scalar, usize>,
    /// The lock of the last moment.
    last: usize,
    /// In the order in which they were first asked for.
    pub(crate) locks: Vec<Lock>,
}

/// One lock.
#[derive(Debug)]
pub(crate) struct Lock {
    pub(crate) name: Scalar,
    /// In the order of their grants' completions.
    pub(crate) holds: Vec<Hold>,
    pub(crate) lapses: Vec<Lapse>,
    tickets: ByToken<Request>,
    entries: ByToken<Entry>,
}

/// A hold whose lease had run out for certain when a call was acknowledged that takes it to be
/// held still.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lapse {
    /// The hold's place among those of its lock.
    pub(crate) hold: usize,
    /// When the lease had run out at the latest.
    pub(crate) from: Point,
    /// When the call was invoked.
    pub(crate) to: Point,
    /// The call.
    pub(crate) by: usize,
}

/// An acknowledged request.
#[derive(Clone, Copy, Debug, Default)]
struct Request {
    place: usize,
    /// Indexes of its events.
    invoked: u64,
    returned: u64,
}

/// How often a client entered and left under one token.
#[derive(Debug, Default)]
struct Entry {
    /// The latest hold of it.
    hold: usize,
    /// Since that hold began: how often entered, and how often release was asked for, whatever
    /// came of it. A hold ends no later than these say.
    entered: u64,
    asked: u64,
    /// How often it was entered less how often it was left, both acknowledged.
    owed: u64,
}

/// What a moment changed, about the hold of that place.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Change {
    /// A hold began.
    Began(usize),
    /// It was entered again, or its lease was renewed. By what was known until then it was
    /// certain up to `before`.
    Kept { hold: usize, before: Point },
    /// A release was asked for that may end it.
    Left(usize),
    /// A release was answered.
    Answered(Release),
}

/// How a release was answered.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Release {
    /// Acknowledged, as was due.
    Due,
    /// Acknowledged to a client that was never granted the token.
    Unknown,
    /// Acknowledged once more than the token was granted.
    Excess,
    /// Refused.
    Refused,
}

impl Book {
    pub(crate) fn new(assume: &Assumptions) -> Self {
        Self {
            clocks: Clocks::new(assume),
            ids: FxHashMap::default(),
            last: 0,
            locks: Vec::new(),
        }
    }

    /// All of a history, whatever clocks do.
    pub(crate) fn of(history: &History) -> Self {
        let mut book = Self::new(&Assumptions::default());
        for moment in moments(history) {
            book.step(history, moment);
        }
        book
    }

    /// Takes the next moment: the lock's place and what changed, if it is of a lock.
    pub(crate) fn step(
        &mut self,
        history: &History,
        moment: Moment,
    ) -> Option<(usize, Option<Change>)> {
        use Kind::{Acquire, GuardedWrite, Release, Renew, Request, TryAcquire};
        let (Moment::Called(place) | Moment::Returned(place)) = moment;
        let call = call(history, place)?;
        let of_lock = matches!(
            call.operation.kind(),
            Request | Acquire | TryAcquire | Renew | Release | GuardedWrite
        );
        let name = call.operation.key().filter(|_| of_lock)?;
        let id = self.id(name);
        let lock = self.locks.get_mut(id)?;
        let change = match moment {
            Moment::Called(_) => lock.called(call),
            Moment::Returned(_) => lock.returned(call, place, self.clocks),
        };
        Some((id, change))
    }

    fn id(&mut self, name: &Scalar) -> usize {
        let is_last = |lock: &Lock| lock.name == *name;
        if !self.locks.get(self.last).is_some_and(is_last) {
            self.last = match self.ids.get(name) {
                Some(id) => *id,
                None => {
                    self.ids.insert(name.clone(), self.locks.len());
                    self.locks.push(Lock::new(name.clone()));
                    self.locks.len() - 1
                }
            };
        }
        self.last
    }
}

impl Lock {
    fn new(name: Scalar) -> Self {
        Self {
            name,
            holds: Vec::new(),
            lapses: Vec::new(),
            tickets: ByToken::default(),
            entries: ByToken::default(),
        }
    }

    /// The places of the holds that began from one point until before another.
    pub(crate) fn began(&self, from: Point, to: Point) -> std::ops::Range<usize> {
        let start = self.holds.partition_point(|hold| hold.from < from);
        let end = self.holds.partition_point(|hold| hold.from < to);
        start..end.max(start)
    }

    /// The first instant at which both holds are certain, and the lease of neither had lapsed.
    pub(crate) fn both(&self, one: usize, other: usize) -> Option<Point> {
        let (a, b) = (self.holds.get(one)?, self.holds.get(other)?);
        let mut at = a.from.max(b.from);
        let end = a.until().min(b.until());
        if !self.lapses.is_empty() {
            // Those of one hold come in order.
            let mine = |lapse: &&Lapse| lapse.hold == one || lapse.hold == other;
            let mut lapses: Vec<&Lapse> = self.lapses.iter().filter(mine).collect();
            lapses.sort_by_key(|lapse| lapse.from);
            for lapse in lapses {
                if lapse.from <= at && at < lapse.to {
                    at = lapse.to;
                }
            }
        }
        (at < end).then_some(at)
    }

    fn called(&mut self, call: &Call) -> Option<Change> {
        let Operation::Release { token, .. } = call.operation else {
            return None;
        };
        let entry = self.entries.get_mut((call.process, token))?;
        entry.asked += 1;
        let hold = self.holds.get_mut(entry.hold)?;
        if entry.asked < entry.entered || hold.left.is_some() {
            return None;
        }
        hold.left = Some(invoked(call));
        Some(Change::Left(entry.hold))
    }

    fn returned(&mut self, call: &Call, place: usize, clocks: Clocks) -> Option<Change> {
        match (&call.operation, &call.outcome) {
            (Operation::Request { .. }, Outcome::Ok(Answer::Ticket(ticket))) => {
                let request = Request {
                    place,
                    invoked: call.invoked.index,
                    returned: ended(call).1,
                };
                *self.tickets.entry((call.process, *ticket)).0 = request;
                None
            }
            (Operation::Acquire { ticket, .. }, Outcome::Ok(Answer::Grant(grant))) => {
                let known = |ticket| self.tickets.get((call.process, ticket)).copied();
                let request = ticket.and_then(known);
                Some(self.enter(call, place, *grant, request, clocks))
            }
            (Operation::TryAcquire { .. }, Outcome::Ok(Answer::Grant(grant))) => {
                Some(self.enter(call, place, *grant, None, clocks))
            }
            (Operation::Renew { .. }, Outcome::Ok(Answer::Grant(grant))) => {
                let entry = self.entries.get((call.process, grant.token))?;
                let hold = entry.hold;
                let before = self.extend(hold, call, place, *grant, clocks)?;
                Some(Change::Kept { hold, before })
            }
            (Operation::Release { token, .. }, Outcome::Ok(_)) => {
                Some(Change::Answered(self.leave(call, place, *token)))
            }
            (Operation::Release { .. }, Outcome::Fail(_)) => {
                Some(Change::Answered(Release::Refused))
            }
            _ => None,
        }
    }

    fn enter(
        &mut self,
        call: &Call,
        place: usize,
        grant: Grant,
        request: Option<Request>,
        clocks: Clocks,
    ) -> Change {
        let at = self.holds.len();
        let (entry, _) = self.entries.entry((call.process, grant.token));
        entry.owed += 1;
        if entry.asked < entry.entered {
            entry.entered += 1;
            let hold = entry.hold;
            let before = self.extend(hold, call, place, grant, clocks);
            return Change::Kept {
                hold,
                before: before.unwrap_or_default(),
            };
        }
        (entry.hold, entry.entered, entry.asked) = (at, 1, 0);
        let tried = matches!(call.operation, Operation::TryAcquire { .. });
        let by_itself = tried.then_some(call.invoked.index);
        let from = ended(call);
        self.holds.push(Hold {
            process: call.process,
            token: grant.token,
            grant: place,
            request: request.map(|request| request.place),
            asked: request.map(|request| request.invoked).or(by_itself),
            acknowledged: request.map(|request| request.returned),
            from,
            leased_until: clocks.earliest_end(call.invoked.time, grant.lease_ms),
            spent: clocks.latest_end(from.0, grant.lease_ms),
            left: None,
            released: false,
        });
        Change::Began(at)
    }

    /// The lease starts anew. Gives until when the hold was certain before.
    fn extend(
        &mut self,
        at: usize,
        call: &Call,
        place: usize,
        grant: Grant,
        clocks: Clocks,
    ) -> Option<Point> {
        self.lapse(at, call, place);
        let hold = self.holds.get_mut(at)?;
        let before = hold.until();
        let end = clocks.earliest_end(call.invoked.time, grant.lease_ms);
        hold.leased_until = hold.leased_until.max(end);
        let spent = clocks.latest_end(ended(call).0, grant.lease_ms);
        hold.spent = hold.spent.max(spent);
        Some(before)
    }

    /// Notes that a call was acknowledged that came after the lease had run out.
    fn lapse(&mut self, at: usize, call: &Call, by: usize) {
        let spent = self.holds.get(at).map(|hold| (hold.spent, 0));
        let to = invoked(call);
        if let Some(from) = spent.filter(|from| *from < to) {
            let hold = at;
            self.lapses.push(Lapse { hold, from, to, by });
        }
    }

    fn leave(&mut self, call: &Call, place: usize, token: u64) -> Release {
        let Some(entry) = self.entries.get_mut((call.process, token)) else {
            return Release::Unknown;
        };
        if entry.owed == 0 {
            return Release::Excess;
        }
        entry.owed -= 1;
        let (at, over) = (entry.hold, entry.owed == 0);
        self.lapse(at, call, place);
        if let Some(hold) = self.holds.get_mut(at) {
            hold.released |= over;
        }
        Release::Due
    }

    /// The latest hold that a release is about.
    pub(crate) fn latest(&self, release: &Call) -> Option<usize> {
        let Operation::Release { token, .. } = release.operation else {
            return None;
        };
        let entry = self.entries.get((release.process, token))?;
        Some(entry.hold)
    }

    /// The hold of a client with a token, if no release was asked for that may have ended it.
    pub(crate) fn held(&self, process: u64, token: u64) -> Option<usize> {
        let at = self.entries.get((process, token))?.hold;
        let hold = self.holds.get(at)?;
        hold.left.is_none().then_some(at)
    }

    /// How deep a client is in under a token, by what was acknowledged.
    pub(crate) fn depth(&self, process: u64, token: u64) -> u64 {
        let entry = self.entries.get((process, token));
        entry.map_or(0, |entry| entry.owed)
    }
}

//! `wakeup`: who waits for permits in a first-in-first-out queue gets them once its turn has come.
//!
//! An acquire that was refused as `temporarily-unavailable` waited [`Assumptions::wait_ms`] in the
//! queue: it arrived that long before the answer at the latest, and left that long after it was
//! asked for at the earliest. So there is a stretch of time in which it was queued for certain.
//! Who was asked for after the beginning of that stretch came later, and could not keep it waiting.
//! Who came before could, until it gave back all that it took. If at the end of the stretch all of
//! these together leave it enough, its turn had come, and it was not woken: another was, or nobody.
//!
//! Nothing is taken to end by itself: whoever never gave back for certain may hold for ever, since
//! leases can be prolonged by a restart that nobody sees.

use rustc_hash::FxHashMap;
use tribunal_results::verdict::ANOMALIES_LISTED_MAX;
use tribunal_results::{
    Anomaly, Answer, Call, History, Nanos, Operation, Outcome, Record, Scalar, Verdict,
};

use crate::{Budget, Checker, explain, locks};

/// The checker.
pub struct Wakeup;

const NAME: &str = "wakeup";
/// The code of a refusal that says: the wait was in vain.
const IN_VAIN: &str = "temporarily-unavailable";
/// What a wait may lose by being told in whole milliseconds.
const ROUNDING: Nanos = 1_000_000;

impl Checker for Wakeup {
    fn name(&self) -> &'static str {
        NAME
    }

    fn about(&self) -> &'static str {
        "permits go to who waits for them first, and no release is lost on the queue (starvation \
         freedom of a FIFO semaphore: Dijkstra 1965)"
    }

    fn anomalies(&self) -> &'static [&'static str] {
        &["lost-signal", "passed-over"]
    }

    fn blind_to(&self) -> &'static str {
        "waits that ended with a grant, however late; waits behind permits that were never given \
         back for certain; all, unless it is told how long a request waits"
    }

    fn check(&self, record: &Record, _: Budget) -> Verdict {
        let Some(wait_ms) = record.assume.wait_ms else {
            let text = "nothing is assumed of how long a request waits (`wait_ms`)";
            return Verdict::unknown(NAME, "vacuous", text);
        };
        let drift = wait_ms.saturating_mul(record.assume.clock_drift_ppm.into());
        let wait = wait_ms.saturating_mul(1_000_000);
        let wait = wait.saturating_sub(drift).saturating_sub(ROUNDING);
        let mut tally = Tally::default();
        for queue in queues(&record.history) {
            tally.learn(&queue, wait, record.assume.permits.into());
        }
        tally.verdict()
    }
}

/// The requests for the permits of one semaphore.
struct Queue<'a> {
    key: &'a Scalar,
    requests: Vec<Request<'a>>,
}

/// One acquire, and until when it may hold or want its permits.
#[derive(Clone, Copy)]
struct Request<'a> {
    call: &'a Call,
    permits: u64,
    from: Nanos,
    /// Inclusive; the last instant of all if that is not known.
    until: Nanos,
}

/// Every semaphore's requests, in the order in which they were first asked for.
fn queues(history: &History) -> Vec<Queue<'_>> {
    let mut queues: Vec<Queue<'_>> = Vec::new();
    let mut ids: FxHashMap<&Scalar, usize> = FxHashMap::default();
    let given = given_back(history);
    for call in history.calls() {
        let Operation::AcquirePermits { key, permits } = &call.operation else {
            continue;
        };
        let id = *ids.entry(key).or_insert_with(|| {
            queues.push(Queue {
                key,
                requests: Vec::new(),
            });
            queues.len() - 1
        });
        let permits = u64::from(*permits);
        let until = match &call.outcome {
            Outcome::Fail(_) => call.completed.map_or(Nanos::MAX, |stamp| stamp.time),
            Outcome::Ok(Answer::Grant(grant)) => {
                let end = given.get(&(key, call.process, grant.token));
                end.copied().unwrap_or(Nanos::MAX)
            }
            _ => Nanos::MAX,
        };
        if let Some(queue) = queues.get_mut(id) {
            queue.requests.push(Request {
                call,
                permits,
                from: call.invoked.time,
                until,
            });
        }
    }
    queues
}

/// The permits of one client under one token. What is granted under one token is alike, so nobody
/// knows which of it a release gives back: all of it counts as held until all is given back.
#[derive(Default)]
struct Held {
    granted: u64,
    /// Releases that were acknowledged: when, and how many permits.
    back: Vec<(Nanos, u64)>,
}

impl Held {
    /// When all was given back for certain.
    fn end(mut self) -> Option<Nanos> {
        self.back.sort_unstable();
        let mut sum = 0_u64;
        let enough = |(_, given): &(Nanos, u64)| {
            sum = sum.saturating_add(*given);
            sum >= self.granted
        };
        let at = self.back.iter().position(enough)?;
        self.back.get(at).map(|(time, _)| *time)
    }
}

/// When all that a client was granted under a token was given back, if it was.
fn given_back(history: &History) -> FxHashMap<(&Scalar, u64, u64), Nanos> {
    let mut held: FxHashMap<_, Held> = FxHashMap::default();
    for call in history.calls() {
        match (&call.operation, &call.outcome, call.completed) {
            (
                Operation::AcquirePermits { key, permits },
                Outcome::Ok(Answer::Grant(grant)),
                Some(_),
            ) => {
                let held = held.entry((key, call.process, grant.token)).or_default();
                held.granted = held.granted.saturating_add((*permits).into());
            }
            (
                Operation::ReleasePermits {
                    key,
                    permits,
                    token: Some(token),
                },
                Outcome::Ok(_),
                Some(stamp),
            ) => {
                let held = held.entry((key, call.process, *token)).or_default();
                held.back.push((stamp.time, (*permits).into()));
            }
            _ => {}
        }
    }
    let ended = held.into_iter().map(|(of, held)| (of, held.end()));
    ended.filter_map(|(of, end)| Some((of, end?))).collect()
}

/// A request that was refused, and when it was in the queue for certain.
#[derive(Clone, Copy)]
struct InVain<'a> {
    request: Request<'a>,
    queued: (Nanos, Nanos),
}

/// Counts of permits by the rank of a time (Fenwick 1994).
struct Sums(Vec<u64>);

impl Sums {
    fn add(&mut self, rank: usize, permits: u64) {
        let mut at = rank + 1;
        while let Some(sum) = self.0.get_mut(at) {
            *sum += permits;
            at += at & at.wrapping_neg();
        }
    }

    /// Of all ranks below.
    fn below(&self, rank: usize) -> u64 {
        let (mut at, mut sum) = (rank, 0);
        while at > 0 {
            sum += self.0.get(at).copied().unwrap_or(0);
            at &= at - 1;
        }
        sum
    }
}

impl<'a> Queue<'a> {
    fn in_vain(&self, wait: Nanos) -> Vec<InVain<'a>> {
        let judged = |request: &Request<'a>| {
            let Outcome::Fail(reason) = &request.call.outcome else {
                return None;
            };
            let queued = (
                request.until.checked_sub(wait)?,
                request.from.saturating_add(wait),
            );
            let certain = request.from <= queued.0 && queued.0 < queued.1;
            (reason.code == IN_VAIN && certain).then_some(InVain {
                request: *request,
                queued,
            })
        };
        let mut waits: Vec<InVain<'a>> = self.requests.iter().filter_map(judged).collect();
        waits.sort_by_key(|wait| wait.queued);
        waits
    }

    /// Of each wait in vain, in the order of their beginnings: how many permits it and those who
    /// may have come before wanted or had, at its end.
    fn wanted(&self, waits: &[InVain<'a>]) -> Vec<u64> {
        let mut ends: Vec<Nanos> = self.requests.iter().map(|request| request.until).collect();
        ends.sort_unstable();
        let mut sums = Sums(vec![0; ends.len() + 1]);
        let mut requests = self.requests.iter().peekable();
        let mut all = 0_u64;
        let wanted = |wait: &InVain<'a>| {
            while let Some(next) = requests.next_if(|next| next.from <= wait.queued.0) {
                let rank = ends.partition_point(|end| *end < next.until);
                sums.add(rank, next.permits);
                all += next.permits;
            }
            all - sums.below(ends.partition_point(|end| *end < wait.queued.1))
        };
        waits.iter().map(wanted).collect()
    }
}

#[derive(Default)]
struct Tally {
    requests: usize,
    judged: usize,
    total: usize,
    anomalies: Vec<Anomaly>,
}

impl Tally {
    fn learn(&mut self, queue: &Queue<'_>, wait: Nanos, permits: u64) {
        let waits = queue.in_vain(wait);
        self.requests += queue.requests.len();
        self.judged += waits.len();
        for (wait, wanted) in waits.iter().zip(queue.wanted(&waits)) {
            if wanted <= permits {
                self.total += 1;
                if self.anomalies.len() < ANOMALIES_LISTED_MAX {
                    self.anomalies.push(tell(queue, wait, permits));
                }
            }
        }
    }

    fn verdict(mut self) -> Verdict {
        let verdict = if self.total > 0 {
            self.anomalies.sort_by_key(|a| (a.span.1, a.calls.clone()));
            Verdict::invalid(NAME, self.anomalies, self.total as u64)
        } else if self.judged == 0 {
            let requests = explain::count(self.requests, "request");
            let text = format!("{requests} for permits, but none is known to have waited in vain");
            Verdict::unknown(NAME, "vacuous", text)
        } else {
            let text = format!(
                "{} waited in vain, and none of them while it was its turn",
                explain::count(self.judged, "request")
            );
            Verdict::valid(NAME, text)
        };
        verdict
            .figure("requests", self.requests)
            .figure("waited-in-vain", self.judged)
    }
}

fn tell(queue: &Queue<'_>, wait: &InVain<'_>, permits: u64) -> Anomaly {
    let (from, until) = wait.queued;
    let InVain { request, .. } = wait;
    let is_other = |other: &&Request<'_>| other.call.invoked.index != request.call.invoked.index;
    let others = || queue.requests.iter().filter(is_other);
    let before: Vec<&Request<'_>> = others()
        .filter(|other| other.from <= from && other.until >= until)
        .collect();
    let later = others().find(|other| {
        let known = other.call.completed.map(|stamp| stamp.time);
        other.call.is_ok() && other.from > from && known.is_some_and(|known| known < until)
    });
    let taken: u64 = before.iter().map(|other| other.permits).sum();
    let who = request.call.process;
    let stretch = format!(
        "from {} to {}",
        explain::seconds(from),
        explain::seconds(until)
    );
    let (name, instead) = match later {
        Some(later) => (
            "passed-over",
            format!("p{}, who came later, was granted some", later.call.process),
        ),
        None => ("lost-signal", "nobody woke it".to_owned()),
    };
    let key = queue.key;
    let sentence = format!(
        "p{who} waited for {} of semaphore {key} in vain, for certain {stretch}, while {instead}: \
         all who came before left {} of {permits}",
        explain::count(
            usize::try_from(request.permits).unwrap_or(usize::MAX),
            "permit"
        ),
        permits.saturating_sub(taken),
    );
    let mut facts = vec![format!(
        "{}; it had its place in the queue {stretch}.",
        explain::returned(request.call)
    )];
    for other in &before {
        facts.push(format!(
            "{}, and may have kept {} of them until then.",
            explain::invoked(other.call),
            other.permits
        ));
    }
    facts.push("Everybody else who came before had given back or given up by then.".to_owned());
    facts.extend(later.map(|later| format!("{}.", explain::returned(later.call))));
    let calls = before.iter().map(|other| other.call);
    let mut calls: Vec<&Call> = calls.chain(later.map(|later| later.call)).collect();
    calls.push(request.call);
    calls.sort_by_key(|call| call.invoked.index);
    locks::anomaly(name, key, sentence, &calls, facts)
}

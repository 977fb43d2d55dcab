//! Transactions on lists: what one contradicts by itself, and cycles of dependencies, each of
//! which is derived from the answers of the named transactions.

use std::collections::BTreeSet;

use tribunal_results::{Answer, Call, History, Micro, Operation, Outcome, Scalar, Seen};

use super::end;

/// The most transactions of one contradiction.
const CALLS_MAX: usize = 64;

/// Why one transaction comes before another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Why {
    /// It appended an element that is before one of the other.
    Write,
    /// It appended what the other read.
    Read,
    /// It read the list without what the other appended.
    Anti,
    /// Its client called it first.
    Process,
    /// It had returned when the other was invoked.
    RealTime,
}

/// The first read of a list by a transaction.
struct Read<'a> {
    key: &'a Scalar,
    /// All that it returned.
    seen: &'a [Scalar],
    /// What it returned of others, that is without the own appends before.
    head: &'a [Scalar],
}

/// Whether a call works on lists.
pub(super) fn on_lists(call: &Call) -> bool {
    let of_list = |micro: &Micro| {
        let list = matches!(
            micro,
            Micro::Read {
                seen: Seen::List(_),
                ..
            }
        );
        list || matches!(micro, Micro::Append { .. })
    };
    matches!(call.operation, Operation::Append { .. }) || steps(call).iter().any(of_list)
}

/// The steps of a transaction, with what its reads returned if that is known.
fn steps(call: &Call) -> &[Micro] {
    match (&call.operation, &call.outcome) {
        (Operation::Txn { .. }, Outcome::Ok(Answer::Txn(micros)))
        | (Operation::Txn { micros }, _) => micros,
        _ => &[],
    }
}

/// The elements that a call appended, each with its list.
fn appends(call: &Call) -> Vec<(&Scalar, &Scalar)> {
    if let Operation::Append { key, value } = &call.operation {
        return vec![(key, value)];
    }
    let appended = steps(call).iter().filter_map(|micro| match micro {
        Micro::Append { key, value } => Some((key, value)),
        _ => None,
    });
    appended.collect()
}

/// The lists that a call read for certain.
fn reads(call: &Call) -> Vec<Read<'_>> {
    let mut reads: Vec<Read<'_>> = Vec::new();
    for (at, micro) in steps(call).iter().enumerate() {
        let Micro::Read { key, seen } = micro else {
            continue;
        };
        let seen: &[Scalar] = match seen {
            Seen::Nothing => &[],
            Seen::List(list) => list,
            Seen::Value(_) => continue,
        };
        let own = steps(call).iter().take(at);
        let own = own.filter(|m| matches!(m, Micro::Append { key: of, .. } if of == key));
        let head = seen.len().checked_sub(own.count());
        let is_first = reads.iter().all(|read| read.key != key);
        if let (true, true, Some(head)) = (call.is_ok(), is_first, head) {
            let head = seen.get(..head).unwrap_or(seen);
            reads.push(Read { key, seen, head });
        }
    }
    reads
}

/// Whether the calls of an anomaly contradict each other as its name says.
///
/// # Errors
/// They do not, or there are too many to tell.
pub(super) fn contradiction(history: &History, name: &str, calls: &[&Call]) -> Result<(), String> {
    if calls.len() > CALLS_MAX {
        return Err(format!("{} transactions are too many", calls.len()));
    }
    let any_read = |shows: &dyn Fn(&Call, &Read<'_>) -> bool| {
        let mut calls = calls.iter();
        calls.any(|call| reads(call).iter().any(|read| shows(call, read)))
    };
    let all = Appended { history, calls };
    let is_so = match name {
        "internal" => calls.iter().any(|call| contradicts_itself(&all, call)),
        "duplicate-elements" => any_read(&|_, read| all.twice(read)),
        "phantom-value" => any_read(&|_, read| {
            let mut seen = read.seen.iter();
            seen.any(|element| all.by(read.key, element).is_empty())
        }),
        "G1a" => any_read(&|_, read| read.seen.iter().any(|e| all.is_aborted(read.key, e))),
        "dirty-update" => any_read(&|_, read| {
            let mut rest = read.seen.iter();
            let found = rest.any(|element| all.is_aborted(read.key, element));
            found && rest.any(|element| all.is_alive(read.key, element))
        }),
        "incompatible-order" => disagree(calls) || any_read(&|_, read| all.is_shuffled(read)),
        "G1b" => any_read(&|call, read| all.ends_within(call, read)),
        "lost-update" => lost_update(calls),
        name => cycle(&edges(&all), name),
    };
    match is_so {
        true => Ok(()),
        false => Err(format!("these transactions show no {name}")),
    }
}

/// Who appended what: the named calls, and all others.
struct Appended<'a> {
    history: &'a History,
    calls: &'a [&'a Call],
}

impl<'a> Appended<'a> {
    /// All that may have appended the element, named or not; who failed did only if no other may.
    fn by(&self, key: &Scalar, element: &Scalar) -> Vec<&'a Call> {
        let all = self.history.calls().iter();
        let all = all.filter(|call| appends(call).contains(&(key, element)));
        let (failed, may): (Vec<&Call>, Vec<&Call>) = all.partition(|call| call.is_fail());
        if may.is_empty() { failed } else { may }
    }

    /// The place among the named calls of the only one that appended the element.
    fn only(&self, key: &Scalar, element: &Scalar) -> Option<usize> {
        let by = self.by(key, element);
        let [call] = by.as_slice() else { return None };
        let once = appends(call)
            .iter()
            .filter(|a| **a == (key, element))
            .count()
            == 1;
        let place = self.calls.iter().position(|named| named == call);
        place.filter(|_| once)
    }

    /// Whether only calls that failed appended the element, of which one is named.
    fn is_aborted(&self, key: &Scalar, element: &Scalar) -> bool {
        let by = self.by(key, element);
        by.iter().all(|call| call.is_fail()) && by.iter().any(|call| self.calls.contains(call))
    }

    /// Whether a named call that may have taken effect appended the element.
    fn is_alive(&self, key: &Scalar, element: &Scalar) -> bool {
        let by = self.by(key, element);
        by.iter()
            .any(|call| !call.is_fail() && self.calls.contains(call))
    }

    /// Whether an element is there twice that was appended once at most.
    fn twice(&self, read: &Read<'_>) -> bool {
        let again = |(at, element): (usize, &Scalar)| {
            let earlier = read.seen.get(..at).unwrap_or(&[]);
            let written = self.by(read.key, element);
            let times = written.iter().flat_map(|call| appends(call));
            earlier.contains(element) && times.filter(|a| *a == (read.key, element)).count() <= 1
        };
        read.seen.iter().enumerate().any(again)
    }

    /// Whether two elements of one transaction stand in the wrong order.
    fn is_shuffled(&self, read: &Read<'_>) -> bool {
        let place = |element: &Scalar| {
            let at = self.only(read.key, element)?;
            let own = appends(self.calls.get(at)?);
            Some((at, own.iter().position(|a| *a == (read.key, element))?))
        };
        let places: Vec<(usize, usize)> = read.seen.iter().filter_map(place).collect();
        let mut pairs = (0..places.len()).flat_map(|a| (0..a).map(move |b| (b, a)));
        pairs.any(|(a, b)| places[a].0 == places[b].0 && places[a].1 > places[b].1)
    }

    /// Whether the read ends in the middle of another transaction's appends.
    fn ends_within(&self, call: &Call, read: &Read<'_>) -> bool {
        let writer = |last| self.calls.get(self.only(read.key, last)?).copied();
        let Some((last, writer)) = read.head.last().and_then(|l| Some((l, writer(l)?))) else {
            return false;
        };
        let own = appends(writer);
        let mut own = own.iter().filter(|a| a.0 == read.key);
        let more = own.next_back().is_some_and(|a| a.1 != last);
        more && !writer.is_fail() && writer.invoked.index != call.invoked.index
    }

    /// Whether a named call took effect for certain: it succeeded, or a named read saw it.
    fn happened(&self, call: &Call) -> bool {
        let saw = |read: &Read<'_>| {
            let own = appends(call);
            own.iter()
                .any(|a| a.0 == read.key && read.seen.contains(a.1))
        };
        let seen = || self.calls.iter().any(|other| reads(other).iter().any(saw));
        call.is_ok() || (call.is_info() && seen())
    }
}

/// Whether a transaction's steps contradict each other.
fn contradicts_itself(all: &Appended<'_>, call: &Call) -> bool {
    let steps = if call.is_ok() { steps(call) } else { &[] };
    steps.iter().enumerate().any(|(at, micro)| {
        let Micro::Read { key, seen } = micro else {
            return false;
        };
        let list = |seen: &Seen| match seen {
            Seen::List(list) => list.clone(),
            _ => Vec::new(),
        };
        // What it knows of the list: the end of it, or all once it has read it.
        let (mut known, mut whole) = (Vec::new(), false);
        for earlier in steps.iter().take(at) {
            match earlier {
                Micro::Append { key: of, value } if of == key => known.push(value.clone()),
                Micro::Read { key: of, seen } if of == key => (known, whole) = (list(seen), true),
                _ => {}
            }
        }
        let seen = list(seen);
        let early = steps.iter().skip(at).any(|later| {
            matches!(later, Micro::Append { key: of, value }
                if of == key && seen.contains(value) && all.only(key, value).is_some())
        });
        early || !seen.ends_with(&known) || (whole && seen != known)
    })
}

/// Whether two reads of a list have different orders.
fn disagree(calls: &[&Call]) -> bool {
    let all: Vec<Read<'_>> = calls.iter().flat_map(|call| reads(call)).collect();
    let differ = |one: &Read<'_>, other: &Read<'_>| {
        let prefix = one.seen.starts_with(other.seen) || other.seen.starts_with(one.seen);
        one.key == other.key && !prefix
    };
    all.iter()
        .any(|one| all.iter().any(|other| differ(one, other)))
}

/// Whether two transactions read the same version of a list and both appended to it.
fn lost_update(calls: &[&Call]) -> bool {
    let [one, other] = calls else { return false };
    let updates = |call| {
        let own: Vec<&Scalar> = appends(call).iter().map(|a| a.0).collect();
        let reads = reads(call).into_iter();
        let updated: Vec<_> = reads.filter(|read| own.contains(&read.key)).collect();
        updated
    };
    let same =
        |mine: &Read<'_>, theirs: &Read<'_>| mine.key == theirs.key && mine.head == theirs.head;
    let theirs = updates(other);
    one != other
        && updates(one)
            .iter()
            .any(|mine| theirs.iter().any(|t| same(mine, t)))
}

/// Which of the named transactions comes before which, and why.
fn edges(all: &Appended<'_>) -> BTreeSet<(usize, usize, Why)> {
    let mut edges = BTreeSet::new();
    let happened = |at: &usize| all.calls.get(*at).is_some_and(|call| all.happened(call));
    let numbered = || all.calls.iter().enumerate().filter(|(at, _)| happened(at));
    for (reader, call) in numbered() {
        for read in reads(call) {
            let writer = |element| all.only(read.key, element).filter(happened);
            let writers: Vec<usize> = read.seen.iter().filter_map(writer).collect();
            for (at, one) in writers.iter().enumerate() {
                edges.extend(
                    writers
                        .iter()
                        .skip(at)
                        .map(|next| (*one, *next, Why::Write)),
                );
            }
            let heads = read.head.iter().filter_map(writer);
            edges.extend(heads.map(|writer| (writer, reader, Why::Read)));
            // A list only grows: what is not there yet comes after all that is.
            for (new, other) in numbered() {
                let unseen = |a: &(&Scalar, &Scalar)| {
                    a.0 == read.key && !read.seen.contains(a.1) && all.only(a.0, a.1).is_some()
                };
                if appends(other).iter().any(unseen) {
                    edges.insert((reader, new, Why::Anti));
                    edges.extend(writers.iter().map(|old| (*old, new, Why::Write)));
                }
            }
        }
        for (other, next) in numbered() {
            if call.process == next.process && call.invoked.index < next.invoked.index {
                edges.insert((reader, other, Why::Process));
            }
            if end(call) < next.invoked.index {
                edges.insert((reader, other, Why::RealTime));
            }
        }
    }
    edges.retain(|(from, to, _)| from != to);
    edges
}

/// Whether the edges go round as the name says (Adya 1999).
fn cycle(edges: &BTreeSet<(usize, usize, Why)>, name: &str) -> bool {
    let (kind, orders) = match (
        name.strip_suffix("-process"),
        name.strip_suffix("-realtime"),
    ) {
        (Some(kind), _) => (kind, &[Why::Process][..]),
        (_, Some(kind)) => (kind, &[Why::Process, Why::RealTime][..]),
        _ => (name, &[][..]),
    };
    // One edge is of the first kind, and the others of these.
    let (pick, others) = match kind {
        "G0" => (Why::Write, &[Why::Write][..]),
        "G1c" => (Why::Read, &[Why::Write, Why::Read][..]),
        "G-single" => (Why::Anti, &[Why::Write, Why::Read][..]),
        _ => (Why::Anti, &[Why::Write, Why::Read, Why::Anti][..]),
    };
    let apart = kind == "G-nonadjacent";
    let may = |why: &Why| others.contains(why) || orders.contains(why);
    edges.iter().filter(|edge| edge.2 == pick).any(|start| {
        // Where one can get to, and whether by an anti-dependency.
        let mut reached = BTreeSet::from([(start.1, start.2 == Why::Anti)]);
        loop {
            let next = edges.iter().filter(|edge| may(&edge.2)).flat_map(|edge| {
                let from = reached.iter().filter(|at| at.0 == edge.0);
                let follows = from.filter(|at| !(apart && at.1 && edge.2 == Why::Anti));
                follows.map(|_| (edge.1, edge.2 == Why::Anti))
            });
            let next: Vec<(usize, bool)> = next.collect();
            let before = reached.len();
            reached.extend(next);
            if reached.len() == before {
                break;
            }
        }
        reached.contains(&(start.0, false)) || (!apart && reached.contains(&(start.0, true)))
    })
}

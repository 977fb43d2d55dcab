//! `cache`: a cache returns nothing that was not written, that was deleted, or that is older than
//! its entries may be; keeps every key on as many nodes as it says, and no more than it has room
//! for; and gives up the least recently used first.
//!
//! What reads return is judged by the clients' history alone: a value that was acknowledged is
//! *expired* when it is asked for longer than `staleness_ms` after that, even by a clock as slow as
//! `clock_drift_ppm` says, and *deleted* when a delete that was begun after that has been
//! acknowledged before it is asked for. The rest is what
//! nodes say of themselves when they are asked to `inspect`, as custom operations; see the target
//! `cache` for the fields.

use rustc_hash::FxHashMap;
use serde_json::Value as Json;
use tribunal_results::{
    Answer, Assumptions, Call, Nanos, Operation, Outcome, Record, Scalar, Verdict,
};

use crate::tally::{self, Finding, Findings};
use crate::{Budget, Checker, explain};

/// The checker.
pub struct Cache;

const NAME: &str = "cache";
const ANOMALIES: [&str; 6] = [
    "unwritten-value",
    "deleted-value",
    "expired-value",
    "too-few-replicas",
    "over-capacity",
    "not-least-recently-used",
];

impl Checker for Cache {
    fn name(&self) -> &'static str {
        NAME
    }

    fn about(&self) -> &'static str {
        "a cache returns nothing unwritten, deleted or expired, keeps its replicas and its \
         capacity, and gives up the least recently used (as its nodes tell)"
    }

    fn anomalies(&self) -> &'static [&'static str] {
        &ANOMALIES
    }

    fn blind_to(&self) -> &'static str {
        "values written more than once, and those whose write is of unknown end; what was not in \
         the cache; what nodes say wrongly of their owners, room and evictions"
    }

    fn check(&self, record: &Record, _: Budget) -> Verdict {
        let mut account = Account::new(record);
        let mut findings = Findings::new(&ANOMALIES);
        for call in record.history.calls() {
            match (&call.operation, &call.outcome) {
                (Operation::Read { key }, Outcome::Ok(Answer::Value(Some(value)))) => {
                    account.hit(key, value, call, &mut findings);
                }
                (Operation::Custom { name, .. }, Outcome::Ok(Answer::Custom(told)))
                    if name == "inspect" =>
                {
                    account.inspected += 1;
                    inspect(call, told, &mut findings);
                }
                _ => {}
            }
        }
        account.verdict(findings)
    }
}

/// What clients did, and how much there was to judge.
struct Account<'a> {
    /// The writes of each value that may have taken effect.
    writes: FxHashMap<(&'a Scalar, &'a Scalar), Vec<&'a Call>>,
    /// The deletes of each key that were acknowledged.
    deletes: FxHashMap<Scalar, Vec<&'a Call>>,
    assume: &'a Assumptions,
    hits: usize,
    inspected: usize,
}

impl<'a> Account<'a> {
    fn new(record: &'a Record) -> Self {
        let mut account = Self {
            writes: FxHashMap::default(),
            deletes: FxHashMap::default(),
            assume: &record.assume,
            hits: 0,
            inspected: 0,
        };
        for call in record.history.calls().iter().filter(|call| !call.is_fail()) {
            match &call.operation {
                Operation::Write { key, value } => {
                    account.writes.entry((key, value)).or_default().push(call);
                }
                Operation::Custom { name, value } if name == "delete" && call.is_ok() => {
                    // The number 5 and the text "5" are two keys.
                    if let Ok(key) = serde_json::from_value(value["key"].clone()) {
                        account.deletes.entry(key).or_default().push(call);
                    }
                }
                _ => {}
            }
        }
        account
    }

    /// A read that found something.
    fn hit(&mut self, key: &'a Scalar, value: &'a Scalar, read: &'a Call, findings: &mut Findings) {
        self.hits += 1;
        let writes = self
            .writes
            .get(&(key, value))
            .map_or(&[][..], Vec::as_slice);
        let mut begun = writes.iter();
        if !begun.any(|write| write.invoked.index < tally::end(read)) {
            let why = "which nobody had written";
            findings.add("unwritten-value", || told(key, value, read, None, why));
            return;
        }
        let (&[write], Some(acknowledged)) = (writes, writes.first().and_then(|w| w.completed))
        else {
            return;
        };
        if !write.is_ok() {
            return;
        }
        let after = |delete: &&&Call| {
            delete.invoked.index > acknowledged.index && tally::end(delete) < read.invoked.index
        };
        let deletes = self.deletes.get(key);
        if let Some(delete) = deletes.and_then(|deletes| deletes.iter().find(after)) {
            let why = "which had been deleted";
            findings.add("deleted-value", || {
                told(key, value, read, Some((write, delete)), why)
            });
        }
        let age = read.invoked.time.saturating_sub(acknowledged.time);
        if let Some(ttl) = self.assume.staleness_ms
            && is_over(age, ttl, self.assume.clock_drift_ppm)
        {
            let why = format!(
                "which had been there for {} ms at least, and may be for {ttl}",
                age / 1_000_000
            );
            findings.add("expired-value", || {
                told(key, value, read, Some((write, write)), &why)
            });
        }
    }

    fn verdict(self, findings: Findings) -> Verdict {
        let verdict = findings.verdict(NAME, || {
            if self.hits == 0 {
                let text = "no read found anything, so there is nothing to judge";
                return Verdict::unknown(NAME, "vacuous", text);
            }
            let hits = explain::count(self.hits, "read");
            Verdict::valid(NAME, format!("{hits} found what they may have found"))
        });
        verdict
            .figure("hits", self.hits)
            .figure("inspected", self.inspected)
    }
}

/// Whether so many nanoseconds are longer than that by every clock, however slow.
fn is_over(age: Nanos, ttl_ms: u64, drift_ppm: u32) -> bool {
    let millionths = u128::from(1_000_000_u32.saturating_sub(drift_ppm));
    u128::from(age) * millionths > u128::from(ttl_ms) * 1_000_000 * 1_000_000
}

/// A node as others name it.
fn text(node: &Json) -> String {
    node.as_str()
        .map_or_else(|| node.to_string(), str::to_owned)
}

fn told<'a>(
    key: &'a Scalar,
    value: &Scalar,
    read: &'a Call,
    past: Option<(&'a Call, &'a Call)>,
    why: &str,
) -> Finding<'a> {
    let mut calls: Vec<&Call> = past.into_iter().flat_map(|(one, two)| [one, two]).collect();
    calls.dedup_by_key(|call| call.invoked.index);
    let mut facts: Vec<String> = calls
        .iter()
        .map(|call| tally::fact(explain::acknowledged(call)))
        .collect();
    facts.push(tally::fact(format!(
        "{}, after that",
        explain::invoked(read)
    )));
    calls.push(read);
    Finding {
        key: Some(key),
        sentence: format!("{} and got {value}, {why}", tally::read(read)),
        facts,
        calls,
    }
}

/// What a node says of itself.
fn inspect(call: &Call, told: &Json, findings: &mut Findings) {
    let node = call.node.as_deref().unwrap_or("a node").to_owned();
    let number = |field: &str| told[field].as_u64();
    let mut say = |name, sentence: String| {
        findings.add(name, || Finding {
            key: None,
            facts: vec![tally::fact(explain::returned(call))],
            sentence,
            calls: vec![call],
        });
    };
    if let (Some(owners), Some(replicas)) = (told["owners"].as_array(), number("replicas")) {
        let mut different: Vec<&Json> = owners.iter().collect();
        different.sort_by_cached_key(|owner| owner.to_string());
        different.dedup();
        if (different.len() as u64) < replicas {
            let names: Vec<String> = different.iter().map(|owner| text(owner)).collect();
            let list = names.join(", ");
            let sentence = format!(
                "{node} keeps what {} is about on {} of {replicas} nodes: {list}",
                call.operation,
                different.len(),
            );
            say("too-few-replicas", sentence);
        }
    }
    if let (Some(bytes), Some(capacity)) = (number("bytes"), number("capacity"))
        && bytes > capacity
    {
        let sentence = format!("{node} keeps {bytes} bytes, and has room for {capacity}");
        say("over-capacity", sentence);
    }
    if let (Some(used), Some(oldest)) = (number("evicted-used"), number("oldest-used"))
        && used > oldest
    {
        let sentence = format!(
            "{node} gave up what was used at its tick {used}, and kept what was last used at {oldest}"
        );
        say("not-least-recently-used", sentence);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use tribunal_results::{Body, Event, History, Process};

    const MS: u64 = 1_000_000;

    fn custom(name: &str, value: Json) -> Operation {
        let name = name.into();
        Operation::Custom { name, value }
    }

    fn read() -> (Operation, Answer) {
        let one = Answer::Value(Some(1.into()));
        (Operation::Read { key: "k".into() }, one)
    }

    fn write() -> (Operation, Answer) {
        let operation = Operation::Write {
            key: "k".into(),
            value: 1.into(),
        };
        (operation, Answer::Done)
    }

    fn delete() -> (Operation, Answer) {
        let operation = custom("delete", json!({ "key": "k" }));
        (operation, Answer::Custom(Json::Null))
    }

    fn inspected(told: Json) -> (Operation, Answer) {
        (
            custom("inspect", json!({ "key": "k" })),
            Answer::Custom(told),
        )
    }

    /// The names of what is found if each of these is done at once, 10 ms after the one before.
    fn found(calls: Vec<(Operation, Answer)>, ttl_ms: u64) -> Vec<String> {
        let mut record = Record::default();
        let mut events = Vec::new();
        for (operation, answer) in calls {
            let time = 5 * MS * events.len() as u64;
            for body in [
                Body::Invoke(operation.clone()),
                Body::Complete(operation, Outcome::Ok(answer)),
            ] {
                events.push(Event {
                    index: events.len() as u64,
                    time,
                    process: Process::Client(1),
                    node: Some("n1".into()),
                    body,
                });
            }
        }
        record.history = History::from_events(events).unwrap_or_default();
        assert!(!record.history.calls().is_empty());
        record.assume.staleness_ms = Some(ttl_ms);
        let verdict = Cache.check(&record, Budget::default());
        verdict.anomalies.into_iter().map(|a| a.name).collect()
    }

    #[test]
    fn a_value_may_be_read_until_it_expires_or_was_deleted() {
        let none: [String; 0] = [];
        assert_eq!(found(vec![write(), read()], 10), none);
        assert_eq!(found(vec![write(), read()], 9), ["expired-value"]);
        assert_eq!(found(vec![delete(), write(), read()], 50), none);
        assert_eq!(
            found(vec![write(), delete(), read()], 50),
            ["deleted-value"]
        );
        assert_eq!(found(vec![read(), write()], 50), ["unwritten-value"]);
    }

    #[test]
    fn nodes_are_taken_at_their_word_about_replicas_room_and_evictions() {
        let right = json!({ "owners": ["n1", "n2"], "replicas": 2, "bytes": 9, "capacity": 9,
            "evicted-used": 3, "oldest-used": 4 });
        let with = |field: &str, value: Json| {
            let mut told = right.clone();
            told[field] = value;
            found(vec![inspected(told)], 50)
        };
        assert_eq!(with("evicted-used", Json::Null).len(), 0);
        assert_eq!(with("owners", json!(["n1", "n1"])), ["too-few-replicas"]);
        assert_eq!(with("bytes", json!(10)), ["over-capacity"]);
        assert_eq!(with("evicted-used", json!(5)), ["not-least-recently-used"]);
    }
}

//! `staleness`: how old is what reads return, and is it older than allowed?
//!
//! All figures are certain: lower bounds that hold in every order of the updates that their times
//! allow (`replicas/stale.rs`).

use tribunal_results::verdict::ANOMALIES_LISTED_MAX;
use tribunal_results::{Anomaly, Call, Nanos, Record, Verdict};

use crate::replicas::stale::{Stale, Versions, of_elements, of_register};
use crate::replicas::visible::{Visibility, milliseconds, quantile};
use crate::replicas::{Family, Object, anomaly, node, objects};
use crate::{Budget, Checker, explain};

/// The checker.
pub struct Staleness;

const NAME: &str = "staleness";

impl Checker for Staleness {
    fn name(&self) -> &'static str {
        NAME
    }

    fn about(&self) -> &'static str {
        "how many versions and how long reads are behind, for certain, and whether longer than \
         allowed (bounded staleness: Terry 2013)"
    }

    fn anomalies(&self) -> &'static [&'static str] {
        &["too-stale"]
    }

    fn blind_to(&self) -> &'static str {
        "staleness of values that were written more than once, of counters, of elements that are \
         removed, and what only the order of overlapping updates would show"
    }

    fn check(&self, record: &Record, _: Budget) -> Verdict {
        let objects = objects(&record.history);
        let mut tally = Tally::default();
        for object in &objects {
            tally.learn(object);
        }
        tally.verdict(record.assume.staleness_ms)
    }
}

#[derive(Default)]
struct Tally<'o, 'a> {
    judged: usize,
    ambiguous: usize,
    updates: usize,
    stale: Vec<(&'o Object<'a>, Stale<'a>)>,
    visible: Visibility<'a>,
}

impl<'o, 'a> Tally<'o, 'a> {
    fn learn(&mut self, object: &'o Object<'a>) {
        let is_register = object.family == Family::Register;
        if object.family == Family::Counter {
            return;
        }
        let versions = Versions::of(object, is_register);
        let staleness = match is_register {
            true => of_register(object, &versions),
            false => of_elements(object, &versions),
        };
        self.visible.learn(object, &versions);
        self.updates += versions.all.iter().filter(|v| v.effect.is_some()).count();
        self.judged += staleness.judged;
        self.ambiguous += staleness.ambiguous;
        let found = staleness.stale.into_iter();
        self.stale.extend(found.map(|stale| (object, stale)));
    }

    fn verdict(mut self, allowed_ms: Option<u64>) -> Verdict {
        self.stale
            .sort_by_key(|(_, stale)| (std::cmp::Reverse(stale.age), stale.read.invoked.index));
        let verdict = self.judge(allowed_ms);
        let mut ages: Vec<Nanos> = self.stale.iter().map(|(_, stale)| stale.age).collect();
        ages.reverse();
        let fresh = self.judged - ages.len();
        let behind = self.stale.iter().map(|(_, stale)| stale.behind).max();
        let worst = self.stale.first();
        let mut verdict = verdict
            .figure("reads-judged", self.judged)
            .figure("reads-ambiguous", self.ambiguous)
            .figure("stale-reads", ages.len())
            .figure("versions-behind-max", behind.unwrap_or(0))
            .figure("staleness-ms-p50", milliseconds(quantile(&ages, fresh, 50)))
            .figure("staleness-ms-p99", milliseconds(quantile(&ages, fresh, 99)))
            .figure(
                "staleness-ms-max",
                milliseconds(ages.last().copied().unwrap_or(0)),
            )
            .figure("visible-ms", self.visible.figure());
        if let Some((_, stale)) = worst {
            verdict = verdict.figure("worst-read", stale.read.invoked.index);
        }
        verdict
    }

    fn judge(&self, allowed_ms: Option<u64>) -> Verdict {
        if self.judged == 0 || self.updates == 0 {
            let text = "no read could be compared with an update that took effect";
            return Verdict::unknown(NAME, "vacuous", text);
        }
        let reads = explain::count(self.judged, "read");
        let worst = match self.stale.first() {
            None => format!("none of {reads} is stale for certain"),
            Some((_, worst)) => format!(
                "{} of {reads} {} stale, by at least {} ms at worst (p{} at {})",
                self.stale.len(),
                explain::are(self.stale.len()),
                milliseconds(worst.age),
                worst.read.process,
                explain::seconds(explain::ended(worst.read))
            ),
        };
        let Some(allowed) = allowed_ms else {
            return Verdict::valid(NAME, format!("{worst}; any age is allowed"));
        };
        let too_old = |(_, stale): &&(_, Stale<'_>)| stale.age > allowed.saturating_mul(1_000_000);
        let found = self.stale.iter().take_while(too_old);
        let total = found.clone().count() as u64;
        if total == 0 {
            return Verdict::valid(NAME, format!("{worst}; {allowed} ms are allowed"));
        }
        let listed = found.take(ANOMALIES_LISTED_MAX);
        let anomalies = listed.map(|(object, stale)| too_stale(object, stale, allowed));
        Verdict::invalid(NAME, anomalies.collect(), total)
    }
}

fn too_stale(object: &Object<'_>, stale: &Stale<'_>, allowed_ms: u64) -> Anomaly {
    let (noun, key) = (object.family.noun(), object.key);
    let place = match node(stale.read) {
        "" => String::new(),
        node => format!(" at {node}"),
    };
    let age = milliseconds(stale.age);
    let sentence = format!(
        "p{}'s read of {noun} {key}{place} at {} misses {}, which had taken effect {age} ms \
         before; {allowed_ms} ms are allowed",
        stale.read.process,
        explain::seconds(explain::ended(stale.read)),
        stale.missed.operation,
    );
    let effect = |call: &Call, what: &Call| match call.operation.kind() == what.operation.kind() {
        true => explain::acknowledged(call),
        false => format!("{}, which shows it", explain::returned(call)),
    };
    let mut facts = Vec::new();
    if let Some(old) = &stale.old {
        facts.push(format!(
            "{}: what the stale read shows had taken effect.",
            explain::returned(old.call)
        ));
    }
    if object.family == Family::Register {
        facts.push(format!("{}, after that.", explain::invoked(stale.missed)));
    }
    facts.extend([
        format!("{}.", effect(stale.effect.call, stale.missed)),
        format!(
            "{}: it shows what was there {age} ms later at least, and misses {}.",
            explain::invoked(stale.read),
            explain::count(stale.behind, "update")
        ),
    ]);
    let mut calls = vec![stale.effect.call, stale.read];
    calls.extend(stale.old.map(|old| old.call));
    if object.family == Family::Register {
        calls.push(stale.missed);
    }
    anomaly("too-stale", object, sentence, &calls, facts)
}

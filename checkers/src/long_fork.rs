//! `long-fork`: no two reads see two writes in opposite orders.
//!
//! Keys come to be and stay. Of reads of the same keys, what one saw must include what the other
//! saw. Sorted by how much they saw, each read must include the one before it: that finds any two
//! reads that do not agree, and loops of more, in O(R log R) for R reads.

use rustc_hash::FxHashMap;
use serde_json::{Value as Json, json};
use smallvec::SmallVec;
use tribunal_results::{Call, Record, Scalar, Verdict};

use crate::normal::Transactions;
use crate::tally::{self, Finding, Findings, GroupRead, Registers};
use crate::{Budget, Checker, explain, transactions};

/// The checker.
pub struct LongFork;

const NAME: &str = "long-fork";
const ANOMALIES: [&str; 1] = ["long-fork"];

impl Checker for LongFork {
    fn name(&self) -> &'static str {
        NAME
    }

    fn about(&self) -> &'static str {
        "no two transactions see two writes in opposite orders, as parallel snapshot isolation \
         allows (Sovran et al. 2011; Jepsen's `long-fork`)"
    }

    fn anomalies(&self) -> &'static [&'static str] {
        &ANOMALIES
    }

    fn blind_to(&self) -> &'static str {
        "reads of different groups of keys; the order of two writes of one key"
    }

    fn check(&self, record: &Record, budget: Budget) -> Verdict {
        let txns = Transactions::of(&record.history);
        let work = txns.len().into();
        if let Some(verdict) = transactions::too_large(NAME, &txns, work, budget) {
            return verdict;
        }
        let registers = Registers::of(&txns);
        let mut findings = Findings::new(&ANOMALIES);
        let (mut early, mut late, mut compared) = (0_usize, 0_usize, 0_usize);
        let mut telling = false;
        for read in &registers.reads {
            early += usize::from(read.keys.iter().all(|(_, there)| !there));
            late += usize::from(read.keys.iter().all(|(_, there)| *there));
        }
        let mut forks: Vec<Json> = Vec::new();
        for group in groups(&registers.reads) {
            if group.len() > 1 {
                compared += group.len();
                // Of keys that nobody found, reads cannot disagree.
                telling |= group
                    .iter()
                    .any(|read| read.keys.iter().any(|(_, there)| *there));
            }
            judge(group, &registers, &mut forks, &mut findings);
        }
        let reads = registers.reads.len();
        let count = findings.count("long-fork");
        let verdict = findings.verdict(NAME, || {
            if compared == 0 || !telling {
                let text = "no two reads of the same keys, or none that saw a write";
                return Verdict::unknown(NAME, "vacuous", text);
            }
            let reads = explain::count(compared, "read");
            Verdict::valid(NAME, format!("{reads} of groups of keys, all in one order"))
        });
        verdict
            .figure("reads-count", reads)
            .figure("early-read-count", early)
            .figure("late-read-count", late)
            .figure("fork-count", count)
            .figure("forks", tally::bounded(forks, count as usize))
    }
}

/// Reads of the same keys, in the order of the first one.
fn groups<'r, 'a>(reads: &'r [GroupRead<'a>]) -> Vec<Vec<&'r GroupRead<'a>>> {
    let mut places: FxHashMap<SmallVec<[u32; 8]>, usize> = FxHashMap::default();
    let mut groups: Vec<Vec<&GroupRead<'a>>> = Vec::new();
    for read in reads {
        let keys: SmallVec<[u32; 8]> = read.keys.iter().map(|(number, _)| *number).collect();
        let place = *places.entry(keys).or_insert_with(|| {
            groups.push(Vec::new());
            groups.len() - 1
        });
        groups[place].push(read);
    }
    groups
}

fn judge<'a>(
    mut group: Vec<&GroupRead<'a>>,
    registers: &Registers<'a>,
    forks: &mut Vec<Json>,
    findings: &mut Findings,
) {
    group.sort_by_key(|read| read.keys.iter().filter(|(_, there)| *there).count());
    for pair in group.windows(2) {
        let [less, more] = pair else { continue };
        // One that the smaller read saw and the larger one did not.
        let Some(ahead) = only(less, more) else {
            continue;
        };
        let Some(behind) = only(more, less) else {
            continue;
        };
        let names = (registers.get(ahead), registers.get(behind));
        let (Some(x), Some(y)) = names else { continue };
        if findings.count("long-fork") < 32 {
            forks.push(json!([less.call.invoked.index, more.call.invoked.index]));
        }
        findings.add("long-fork", || {
            let writers = [x.first, y.first];
            fork((x.key, y.key), (less.call, more.call), writers)
        });
    }
}

/// A key that the one read found there and the other did not.
fn only(one: &GroupRead<'_>, other: &GroupRead<'_>) -> Option<u32> {
    let mut both = one.keys.iter().zip(&other.keys);
    both.find_map(|((number, here), (_, there))| (*here && !there).then_some(*number))
}

fn fork<'a>(
    (x, y): (&Scalar, &Scalar),
    (one, other): (&'a Call, &'a Call),
    writers: [Option<&'a Call>; 2],
) -> Finding<'a> {
    let when = |call: &Call| {
        let when = explain::seconds(explain::ended(call));
        format!("p{} at {when}{}", call.process, explain::place(call))
    };
    Finding {
        key: None,
        sentence: format!(
            "{} saw {x} written but not {y}, and {} saw {y} but not {x}",
            when(one),
            when(other)
        ),
        facts: vec![
            tally::fact(explain::returned(one)),
            tally::fact(explain::returned(other)),
            tally::fact(format!(
                "By the first, {x} was written before {y}; by the second, {y} before {x}"
            )),
        ],
        calls: writers.into_iter().flatten().chain([one, other]).collect(),
    }
}

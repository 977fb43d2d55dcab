//! What a recorded run did and showed, from its directory alone.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value as Json;
use tribunal_nemesis::Injection;
use tribunal_nemesis::schedule::{Act, NemesisPlan, Start, Step};
use tribunal_results::options::Time;
use tribunal_results::run::{RunDir, RunInfo};
use tribunal_results::{Anomaly, History, Nanos, Phase, RunVerdict};

use crate::judge::child;
use crate::plan::Plan;
use crate::show;

/// What a fault that was in force when the record ends lasts longer, when it is done again.
const BEYOND_THE_END: Duration = Duration::from_millis(500);

/// The names of the anomalies that count as the same finding.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sought(BTreeSet<String>);

impl Sought {
    /// What a verdict found. If the plan names anomalies of which at least one must be found, and
    /// one was, then all of these are the same finding.
    pub fn of(plan: &Plan, verdict: &RunVerdict) -> Self {
        let mut names: BTreeSet<String> = anomalies(verdict).map(|a| a.name.clone()).collect();
        if plan.expect.iter().any(|name| names.contains(name)) {
            names = plan.expect.iter().cloned().collect();
        }
        Self(names)
    }

    /// The first anomaly of a verdict that has one of these names; any, if there are none.
    pub fn find<'a>(&self, verdict: &'a RunVerdict) -> Option<&'a Anomaly> {
        anomalies(verdict)
            .filter(|anomaly| self.0.is_empty() || self.0.contains(&anomaly.name))
            .min_by_key(|anomaly| anomaly.span.1)
    }

    /// Whether the run that it is taken from found nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl std::fmt::Display for Sought {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_empty() {
            return f.write_str("anything");
        }
        let names: Vec<&str> = self.0.iter().map(String::as_str).collect();
        f.write_str(&names.join(" or "))
    }
}

fn anomalies(verdict: &RunVerdict) -> impl Iterator<Item = &Anomaly> {
    verdict.verdicts.iter().flat_map(|v| &v.anomalies)
}

/// A recorded run, to be done again.
#[derive(Clone, Debug)]
pub struct Case {
    /// Where it lies.
    pub dir: RunDir,
    /// What was asked for.
    pub plan: Plan,
    /// What was run.
    pub info: RunInfo,
    /// What it found.
    pub sought: Sought,
    /// What was injected: the steps that do it again.
    pub executed: Vec<Step>,
    /// When what it found was complete, since its workload began.
    pub found_at: Option<Duration>,
}

impl Case {
    /// Reads a run directory whose plan was read already.
    ///
    /// # Errors
    /// If its history or its verdict cannot be read.
    pub fn read(dir: RunDir, plan: Plan) -> anyhow::Result<Self> {
        let (info, verdict) = show::read(&dir).context("this is no run that came to its end")?;
        let journal = child::history(&dir.history())?;
        let sought = Sought::of(&plan, &verdict);
        let begun = begun(&journal.history);
        let found = sought.find(&verdict);
        Ok(Self {
            executed: executed(&journal.history, &plan.nemesis),
            found_at: found.map(|a| Duration::from_nanos(a.span.1.saturating_sub(begun))),
            dir,
            plan,
            info,
            sought,
        })
    }

    /// The plan that does the same: what was injected in place of what chance would choose.
    pub fn again(&self) -> Plan {
        let mut plan = self.plan.clone();
        plan.nemesis = NemesisPlan {
            schedule: self.executed.clone(),
            ..NemesisPlan::default()
        };
        plan
    }
}

/// When clients began to ask, which is when the nemesis began, too.
fn begun(history: &History) -> Nanos {
    let calls = history.calls().iter();
    calls.map(|call| call.invoked.time).min().unwrap_or(0)
}

/// One fault as it was recorded.
#[derive(Default)]
struct Moments {
    inject: Option<Nanos>,
    injected: Option<(Nanos, Injection)>,
    heal: Option<Nanos>,
}

/// The faults that were injected, as steps. One that waited for something still does.
fn executed(history: &History, plan: &NemesisPlan) -> Vec<Step> {
    let mut faults: BTreeMap<u64, Moments> = BTreeMap::new();
    for (time, event) in history.fault_events() {
        let moments = faults.entry(event.id).or_default();
        match event.phase {
            Phase::Inject => moments.inject = Some(time),
            Phase::Injected if event.skipped.is_none() => {
                let injection = serde_json::from_value(event.injection.clone());
                moments.injected = injection.ok().map(|i| (time, without_pids(i)));
            }
            Phase::Heal => moments.heal = Some(time),
            Phase::Injected | Phase::Healed => {}
        }
    }
    let begun = begun(history);
    let end = history.end().map_or(0, |end| end.time) + BEYOND_THE_END.as_nanos() as Nanos;
    let step = |(id, moments): (u64, Moments)| {
        let (injected, injection) = moments.injected?;
        let at = moments.inject?.saturating_sub(begun);
        let hold = moments.heal.unwrap_or(end).saturating_sub(injected);
        let written = usize::try_from(id)
            .ok()
            .and_then(|id| plan.schedule.get(id));
        let start = match written.map(|step| &step.start) {
            Some(Start::When(cue)) => Start::When(cue.clone()),
            _ => Start::At(micros(at)),
        };
        Some(Step {
            start,
            hold: micros(hold.max(1000)),
            act: Act::Given { injection },
        })
    };
    let mut steps: Vec<(u64, Moments)> = faults.into_iter().collect();
    steps.sort_by_key(|(_, moments)| moments.inject);
    steps.into_iter().filter_map(step).collect()
}

/// The processes of then are gone: whoever injects it again puts in those of now.
fn without_pids(mut injection: Injection) -> Injection {
    if let Some(Json::Object(pids)) = injection.detail.get_mut("pids") {
        pids.values_mut().for_each(|pid| *pid = Json::Null);
    }
    injection
}

/// What a plan can hold.
fn micros(nanos: Nanos) -> Time {
    Time(Duration::from_micros(nanos / 1000))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use tribunal_results::journal;

    const HISTORY: &str = r#"{"format":"tribunal-history","version":1,"nodes":["n1","n2"]}
{"index":0,"time":100000000,"process":0,"node":"n1","type":"invoke","f":"read","key":1}
{"index":1,"time":600000000,"process":"nemesis","type":"invoke","f":"kill","value":{"id":1,"phase":"inject"}}
{"index":2,"time":610000000,"process":"nemesis","type":"info","f":"kill","value":{"id":1,"phase":"injected","injection":{"fault":"kill","nodes":["n1"],"links":[],"what":"kill n1","detail":{"pids":{"n1":7}}}}}
{"index":3,"time":700000000,"process":"nemesis","type":"invoke","f":"delay","value":{"id":0,"phase":"inject"}}
{"index":4,"time":700000000,"process":"nemesis","type":"info","f":"delay","value":{"id":0,"phase":"injected","skipped":"nobody"}}
{"index":5,"time":910000000,"process":"nemesis","type":"invoke","f":"kill","value":{"id":1,"phase":"heal"}}
{"index":6,"time":950000000,"process":"nemesis","type":"invoke","f":"pause","value":{"id":2,"phase":"inject"}}
{"index":7,"time":960000000,"process":"nemesis","type":"info","f":"pause","value":{"id":2,"phase":"injected","injection":{"fault":"pause","nodes":["n2"],"links":[],"what":"pause n2","detail":{}}}}
{"index":8,"time":1160000000,"process":0,"node":"n1","type":"info","f":"read","key":1}
"#;

    fn history() -> History {
        journal::read(HISTORY.as_bytes()).unwrap().history
    }

    #[test]
    fn what_was_executed_counts_from_the_first_operation_without_what_was_skipped() {
        let steps = json!(executed(&history(), &NemesisPlan::default()));
        assert_eq!(steps.as_array().unwrap().len(), 2, "{steps}");
        assert_eq!(
            (&steps[0]["at"], &steps[0]["hold"]),
            (&json!("500ms"), &json!("300ms"))
        );
        assert_eq!(steps[0]["injection"]["what"], "kill n1");
        // In force until the end, and a little longer.
        assert_eq!(
            (&steps[1]["at"], &steps[1]["hold"]),
            (&json!("850ms"), &json!("700ms"))
        );
    }

    #[test]
    fn what_waited_for_something_waits_for_it_again() {
        let delay = json!({"at": "1s", "hold": "1s", "type": "delay"});
        let kill = json!({"when": {"ok": "read", "count": 9}, "hold": "1s", "type": "kill"});
        let plan = NemesisPlan {
            schedule: serde_json::from_value(json!([delay, kill])).unwrap(),
            ..NemesisPlan::default()
        };
        let steps = json!(executed(&history(), &plan));
        assert_eq!(steps[0]["when"], json!({"ok": "read", "count": 9}));
        assert_eq!(steps[0]["injection"]["nodes"], json!(["n1"]));
    }
}

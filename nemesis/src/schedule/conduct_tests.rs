//! The schedule over pretended processes, on a clock that jumps.

use super::*;
use crate::process::fake::{Fake, field, field_of};
use crate::{Pending, Processes};
use std::sync::Arc;
use tokio::sync::mpsc::Receiver;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tribunal_results::options::{OptionError, TimeRange};
use tribunal_results::{NodeId, NodeState};

pub(super) fn plan(faults: Json) -> NemesisPlan {
    NemesisPlan {
        faults: serde_json::from_value(faults).unwrap(),
        ..NemesisPlan::default()
    }
}

/// Far beyond what any plan here takes, on a clock that jumps as soon as nothing else is to be done:
/// whatever waits for what never comes fails, and does not hang.
const PATIENCE: Duration = Duration::from_secs(24 * 3600);

pub(super) async fn within<T>(what: &str, work: impl Future<Output = T>) -> T {
    let ended = tokio::time::timeout(PATIENCE, work).await;
    ended.unwrap_or_else(|_| panic!("waits for ever: {what}"))
}

pub(super) struct Run {
    events: Receiver<FaultEvent>,
    stop: watch::Sender<bool>,
    conducted: JoinHandle<()>,
    pub(super) cues: Arc<Cues>,
}

impl Run {
    pub(super) fn start(plan: &NemesisPlan, field: &Field, seed: u64) -> Self {
        let (report, events) = mpsc::channel(16);
        let stop = watch::Sender::new(false);
        let (plan, field, stopped) = (plan.clone(), field.clone(), stop.subscribe());
        let cues = Arc::new(Cues::of(&plan));
        let theirs = Arc::clone(&cues);
        let conducted = tokio::spawn(async move {
            let cues = theirs;
            conduct(&plan, &field, seed, &report, cues, stopped).await;
        });
        Self {
            events,
            stop,
            conducted,
            cues,
        }
    }

    pub(super) async fn next(&mut self) -> FaultEvent {
        within("the next event", self.events.recv()).await.unwrap()
    }

    /// Until there is nothing more to conduct.
    pub(super) async fn end(self) {
        within("the end", self.conducted).await.unwrap();
    }

    pub(super) async fn first(&mut self, n: usize) -> Vec<FaultEvent> {
        let mut events = Vec::new();
        while events.len() < n {
            events.push(self.next().await);
        }
        events
    }

    /// Stops, and returns the events that were left.
    pub(super) async fn stop(mut self) -> Vec<FaultEvent> {
        self.stop.send_replace(true);
        let mut left = Vec::new();
        while let Some(event) = within("the last event", self.events.recv()).await {
            left.push(event);
        }
        within("the end", self.conducted).await.unwrap();
        left
    }
}

const PHASES: [Phase; 4] = [Phase::Inject, Phase::Injected, Phase::Heal, Phase::Healed];

/// Faults that need nothing but pretended processes and a fabric.
const PLAIN: [&str; 8] = [
    "kill",
    "terminate",
    "restart",
    "pause",
    "delay",
    "partition",
    "reset",
    "refuse",
];

fn everything() -> Json {
    json!(PLAIN.map(|name| json!({ "type": name })))
}

#[tokio::test(start_paused = true)]
async fn each_round_meets_every_fault_once_in_four_phases() {
    let (field, _) = field(3).await;
    let mut run = Run::start(&plan(everything()), &field, 7);
    let n = PLAIN.len();
    for round in 0..2 {
        let mut met = Vec::new();
        for place in 0..n {
            let events = run.first(4).await;
            let phases: Vec<Phase> = events.iter().map(|e| e.phase).collect();
            assert_eq!(phases, PHASES);
            assert!(events.iter().all(|e| e.id == (round * n + place) as u64));
            assert!(events.iter().all(|e| e.fault == events[0].fault));
            assert_eq!(events[1].skipped, None);
            assert_eq!(events[1].injection["fault"], events[0].fault);
            assert!(events[3].bit.is_some());
            met.push(events[0].fault.clone());
        }
        met.sort();
        met.dedup();
        assert_eq!(met.len(), n);
    }
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_kill_is_proved_by_pids_and_healed_after_the_hold() {
    let (field, fake) = field(3).await;
    let mut plan = plan(json!([{"type": "kill", "nodes": ["n2"]}]));
    plan.quiet = TimeRange::millis(100, 100);
    plan.hold = TimeRange::millis(500, 500);
    let start = Instant::now();
    let mut run = Run::start(&plan, &field, 1);
    let injected = run.first(2).await.pop().unwrap();
    assert!(start.elapsed().as_millis() >= 100);
    assert_eq!(fake.state("n2"), NodeState::Killed);
    let healed = run.first(2).await.pop().unwrap();
    assert!(start.elapsed().as_millis() >= 600);
    let old = &injected.proof["n2"]["pid"];
    assert_eq!(&healed.proof["n2"]["old_pid"], old);
    assert_ne!(&healed.proof["n2"]["new_pid"], old);
    assert_eq!(healed.bit, Some(true));
    assert_eq!(fake.calls(), ["kill n2", "start n2"]);
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_in_the_hold_heals_and_reports() {
    let (field, fake) = field(3).await;
    let mut plan = plan(json!([{"type": "pause", "nodes": "all"}]));
    plan.hold = TimeRange::millis(1_000_000, 1_000_000);
    let mut run = Run::start(&plan, &field, 1);
    run.first(2).await;
    assert_eq!(fake.state("n3"), NodeState::Paused);
    let start = Instant::now();
    let left = run.stop().await;
    assert!(start.elapsed().as_millis() < 1_000);
    let phases: Vec<Phase> = left.iter().map(|e| e.phase).collect();
    assert_eq!(phases, PHASES[2..]);
    assert_eq!(left[1].bit, Some(true));
    assert_eq!(fake.state("n3"), NodeState::Ready);
}

#[tokio::test(start_paused = true)]
async fn a_stop_in_the_quiet_breaks_nothing() {
    let (field, fake) = field(3).await;
    let mut plan = plan(everything());
    plan.quiet = TimeRange::millis(1_000_000, 1_000_000);
    let run = Run::start(&plan, &field, 1);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(run.stop().await, []);
    assert!(fake.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_fault_heals_even_if_nobody_listens() {
    let (field, fake) = field(1).await;
    let mut run = Run::start(&plan(json!([{"type": "kill"}])), &field, 1);
    run.first(1).await;
    run.events.close();
    run.stop.send_replace(true);
    while within("the last event", run.events.recv()).await.is_some() {}
    run.end().await;
    assert_eq!(fake.calls(), ["kill n1", "start n1"]);
}

#[tokio::test(start_paused = true)]
async fn without_faults_there_is_nothing_to_conduct() {
    let (field, _) = field(1).await;
    let run = Run::start(&NemesisPlan::default(), &field, 1);
    run.end().await;
}

#[tokio::test(start_paused = true)]
async fn where_nobody_is_left_the_fault_is_skipped_with_the_reason() {
    let (field, fake) = field(1).await;
    fake.put("n1", NodeState::Died, None);
    let mut run = Run::start(&plan(json!([{"type": "kill"}])), &field, 1);
    let events = run.first(4).await;
    assert!(events[1].skipped.as_ref().unwrap().contains("nobody left"));
    assert_eq!(events[3].bit, Some(false));
    run.stop().await;
    assert!(fake.calls().is_empty(), "a node that died is a finding");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_does_not_end_is_a_skip_with_its_words() {
    let nodes = vec![NodeId::from("n1")];
    let mut fake = Fake::new(&nodes);
    fake.immortal.push("n1".into());
    let field = field_of(nodes, Arc::new(fake), ([127, 0, 0, 1], 1).into()).await;
    let mut run = Run::start(&plan(json!([{"type": "kill"}])), &field, 1);
    let events = run.first(4).await;
    assert_eq!(events[1].skipped.as_deref(), Some("n1: it does not end"));
    assert_eq!(events[3].bit, Some(false));
    run.stop().await;
}

/// Fails in the way that its options name.
struct Clumsy;

impl Fault for Clumsy {
    fn name(&self) -> &'static str {
        "clumsy"
    }

    fn about(&self) -> &'static str {
        "fails"
    }

    fn colour(&self) -> &'static str {
        "#000000"
    }

    fn check_options(&self, _: &Json) -> Result<(), OptionError> {
        Ok(())
    }

    fn resolve(&self, options: &Json, _: &Field, _: &mut Pcg64Mcg) -> Option<Injection> {
        assert_ne!(options, "resolve", "cannot choose");
        Some(Injection {
            fault: "clumsy".into(),
            nodes: vec!["n1".into()],
            links: Vec::new(),
            what: String::new(),
            detail: options.clone(),
        })
    }

    fn inject<'a>(&'a self, injection: &'a Injection, field: &'a Field) -> Pending<'a, Injected> {
        Box::pin(async move {
            field.processes.pause("n1").await.unwrap();
            assert_ne!(injection.detail, "inject", "cannot inject");
            if injection.detail == "hang" {
                std::future::pending::<()>().await;
            }
            Injected::Installed(Json::Null)
        })
    }

    fn heal<'a>(&'a self, injection: &'a Injection, field: &'a Field) -> Pending<'a, Healed> {
        Box::pin(async move {
            assert_ne!(injection.detail, "heal", "cannot heal");
            field.processes.resume("n1").await.unwrap();
            Healed {
                bit: true,
                proof: Json::Null,
            }
        })
    }
}

/// The events of one clumsy fault, after which the node must run again.
async fn clumsily(how: &str) -> Vec<FaultEvent> {
    let (field, fake) = field(1).await;
    let (report, mut events) = mpsc::channel(16);
    let stop = watch::Sender::new(false);
    let (plan, cues) = (NemesisPlan::default(), Arc::new(Cues::default()));
    let conductor = Conductor::new(&plan, &field, 1, &report, cues);
    let choice = Choice::Drawn(json!(how), stream(1, &[]));
    let (hold, mut stopped) = (Duration::from_secs(1), stop.subscribe());
    conductor
        .perform(&Clumsy, choice, hold, None, &mut stopped)
        .await;
    drop(conductor);
    drop(report);
    let mut all = Vec::new();
    while let Some(event) = events.recv().await {
        all.push(event);
    }
    assert_eq!(fake.state("n1"), NodeState::Ready, "{how}");
    assert_eq!(all.len(), 4);
    all
}

#[tokio::test(start_paused = true)]
async fn a_fault_that_panics_or_hangs_is_skipped_and_still_healed() {
    for (how, words) in [
        ("resolve", "cannot choose"),
        ("inject", "cannot inject"),
        ("hang", "longer than 10s"),
    ] {
        let events = clumsily(how).await;
        assert!(events[1].skipped.as_ref().unwrap().contains(words));
        assert_eq!(events[3].bit, Some(false));
    }
}

#[tokio::test(start_paused = true)]
async fn if_healing_panics_everything_is_healed_by_other_means() {
    let events = clumsily("heal").await;
    assert_eq!(events[1].skipped, None);
    let problem = events[3].proof["problem"].as_str().unwrap();
    assert!(problem.contains("cannot heal"), "{problem}");
    assert_eq!(events[3].proof["left"], json!([]));
}

#[tokio::test]
async fn healing_all_mends_what_we_broke_and_only_that_and_only_once() {
    let (field, fake) = field(4).await;
    fake.put("n1", NodeState::Killed, None);
    fake.put("n2", NodeState::Paused, Some(5));
    fake.put("n3", NodeState::Died, None);
    field.fabric.set("n1", "n2", crate::fabric::Rule::cut());
    for _ in 0..2 {
        assert_eq!(heal_all(&field).await, Vec::<String>::new());
    }
    let mut calls = fake.calls();
    calls.sort();
    assert_eq!(calls, ["resume n2", "start n1"]);
}

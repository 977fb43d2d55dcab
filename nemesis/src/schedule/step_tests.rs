//! Steps, overlap, conflicts and budgets, on a clock that jumps.

use super::tests::{Run, plan};
use super::*;
use crate::Processes;
use crate::process::fake::field;
use crate::schedule::{Budget, Sight};
use tribunal_results::NodeState;
use tribunal_results::options::TimeRange;

fn schedule(steps: Json) -> NemesisPlan {
    NemesisPlan {
        schedule: serde_json::from_value(steps).unwrap(),
        ..NemesisPlan::default()
    }
}

fn ms(since: Instant) -> u128 {
    since.elapsed().as_millis()
}

#[tokio::test(start_paused = true)]
async fn steps_begin_at_their_times_overlap_and_end_by_themselves() {
    let (field, fake) = field(3).await;
    let plan = schedule(json!([
        {"at": "2s", "hold": "1s", "type": "pause", "nodes": ["n2"]},
        {"at": "500ms", "hold": "2s", "type": "kill", "nodes": ["n1"]},
    ]));
    let start = Instant::now();
    let mut run = Run::start(&plan, &field, 1);
    assert_eq!(run.first(2).await[1].id, 1);
    assert_eq!(ms(start), 500);
    assert_eq!(run.first(2).await[1].id, 0);
    assert_eq!(ms(start), 2000);
    assert_eq!(fake.state("n1"), NodeState::Killed);
    assert_eq!(fake.state("n2"), NodeState::Paused);
    assert_eq!(run.first(2).await[1].id, 1);
    assert_eq!(ms(start), 2500);
    assert_eq!(run.first(2).await[1].bit, Some(true));
    assert_eq!(ms(start), 3000);
    run.end().await;
}

#[test]
fn what_a_step_needs_is_made_ready_as_for_a_fault_that_is_drawn() {
    let injection = json!({"fault": "clock-jump", "nodes": ["n2"]});
    let plan = schedule(json!([
        {"at": "1s", "hold": "1s", "type": "lose-unsynced", "nodes": ["n1"]},
        {"at": "2s", "hold": "1s", "type": "kill", "nodes": ["n1"]},
        {"at": "3s", "hold": "1s", "injection": injection},
    ]));
    assert_eq!(plan.needs(), [crate::Need::Disk, crate::Need::Clocks]);
}

#[tokio::test(start_paused = true)]
async fn a_step_waits_for_its_cue() {
    let (field, fake) = field(3).await;
    let plan = schedule(json!([
        {"after": {"ok": "append", "count": 2}, "hold": "1s", "type": "kill", "nodes": ["n3"]},
    ]));
    let mut run = Run::start(&plan, &field, 1);
    sleep(Duration::from_secs(60)).await;
    assert!(fake.calls().is_empty());
    let append = Sight::Ok(tribunal_results::Kind::Append);
    run.cues.saw(&append);
    run.cues.saw(&append);
    assert_eq!(run.first(2).await[1].skipped, None);
    assert_eq!(fake.state("n3"), NodeState::Killed);
    assert_eq!(run.stop().await.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_stop_before_its_moment_leaves_a_step_undone() {
    let (field, fake) = field(3).await;
    let plan = schedule(json!([{"at": "2s", "hold": "1s", "type": "kill"}]));
    assert_eq!(Run::start(&plan, &field, 1).stop().await, []);
    assert!(fake.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_was_injected_can_be_injected_again_on_other_processes() {
    let (first, _) = field(5).await;
    let drawn = plan(json!([{"type": "kill"}, {"type": "partition"}]));
    let mut run = Run::start(&drawn, &first, 3);
    let events = run.first(8).await;
    let steps: Vec<Json> = events
        .iter()
        .filter(|event| event.phase == Phase::Injected)
        .map(|event| json!({"at": "1s", "hold": "1s", "injection": event.injection}))
        .collect();
    run.stop().await;
    let (second, fake) = field(5).await;
    fake.put("n1", NodeState::Ready, Some(4242));
    let mut run = Run::start(&schedule(json!(steps)), &second, 99);
    let mut again = run.first(8).await;
    again.retain(|event| event.phase == Phase::Injected);
    again.sort_by_key(|event| event.id);
    let injected = events.iter().filter(|e| e.phase == Phase::Injected);
    for (first, second) in injected.zip(&again) {
        assert_eq!((&first.nodes, &first.links), (&second.nodes, &second.links));
        for (node, pid) in second.injection["detail"]["pids"]
            .as_object()
            .into_iter()
            .flatten()
        {
            // The processes of then are not asked whether those of now are gone.
            assert_eq!(second.proof[node]["pid"], *pid);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_paused_node_is_resumed_before_it_is_killed() {
    let (field, fake) = field(3).await;
    let plan = schedule(json!([
        {"at": "1s", "hold": "60s", "type": "pause", "nodes": ["n1"]},
        {"at": "3s", "hold": "1s", "injection": {
            "fault": "kill", "nodes": ["n1"], "links": [], "what": "kill n1", "detail": {}}},
    ]));
    let start = Instant::now();
    let mut run = Run::start(&plan, &field, 1);
    let events = run.first(8).await;
    assert_eq!(ms(start), 4000, "the pause does not last its whole minute");
    assert_eq!(
        fake.calls(),
        ["pause n1", "resume n1", "kill n1", "start n1"]
    );
    assert_eq!((events[3].id, events[3].bit), (0, Some(true)));
    run.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_fault_on_a_link_ends_the_one_before_on_that_link_alone() {
    let (field, _) = field(3).await;
    let plan = schedule(json!([
        {"at": "1s", "hold": "60s", "type": "delay", "links": [["n1", "n2"]]},
        {"at": "2s", "hold": "1s", "type": "delay", "links": [["n2", "n3"]]},
        {"at": "5s", "hold": "1s", "type": "delay", "links": [["n1", "n2"]]},
    ]));
    let start = Instant::now();
    let mut run = Run::start(&plan, &field, 1);
    let mut times = std::collections::BTreeMap::new();
    for _ in 0..12 {
        let event = run.next().await;
        assert_eq!(event.skipped, None);
        times.insert((event.id, event.phase == Phase::Healed), ms(start));
    }
    let healed = [0, 1, 2].map(|id| times[&(id, true)]);
    assert_eq!(healed, [5000, 3000, 6000]);
    run.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_never_happens_breaks_nothing() {
    let (field, fake) = field(3).await;
    let mut plan = plan(json!([{"type": "kill"}, {"type": "pause"}]));
    plan.probability = 0.0;
    let run = Run::start(&plan, &field, 1);
    sleep(Duration::from_secs(600)).await;
    assert_eq!(run.stop().await, []);
    assert!(fake.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_budget_lets_wait_what_is_too_much_now_and_refuses_what_always_is() {
    let (field, fake) = field(3).await;
    let mut plan = schedule(json!([
        {"at": "1s", "hold": "5s", "type": "kill", "nodes": ["n1"]},
        {"at": "2s", "hold": "1s", "type": "pause", "nodes": ["n2"]},
        {"at": "3s", "hold": "1s", "type": "kill", "nodes": "all"},
        {"at": "4s", "hold": "1s", "type": "delay"},
    ]));
    plan.budget = Budget::Minority;
    let start = Instant::now();
    let mut run = Run::start(&plan, &field, 1);
    let mut times = std::collections::BTreeMap::new();
    for _ in 0..16 {
        let event = run.next().await;
        if event.phase == Phase::Injected {
            times.insert(event.id, (ms(start), event.skipped));
        }
    }
    assert_eq!(times[&0].0, 1000);
    assert_eq!(times[&1], (6000, None), "n2 only after n1 is back");
    let refused = times[&2].1.as_ref().unwrap();
    assert!(
        refused.contains("n2,n3 would be out") && refused.contains("allows 1"),
        "{refused}"
    );
    assert_eq!(times[&3], (4000, None), "a delay disables nobody");
    assert!(!fake.calls().contains(&"kill n3".to_owned()));
    run.end().await;
}

/// The most faults in force at once, and how often each began, within a minute.
async fn in_force(plan: &NemesisPlan) -> (usize, Vec<u128>) {
    let (field, _) = field(5).await;
    let mut run = Run::start(plan, &field, 4);
    let (start, mut now, mut most, mut begun) = (Instant::now(), 0_usize, 0, Vec::new());
    while ms(start) < 60_000 {
        match run.next().await.phase {
            Phase::Injected => {
                now += 1;
                most = most.max(now);
                begun.push(ms(start));
            }
            Phase::Healed => now -= 1,
            Phase::Inject | Phase::Heal => {}
        }
    }
    run.stop().await;
    (most, begun)
}

#[tokio::test(start_paused = true)]
async fn as_many_faults_overlap_as_the_plan_says_and_begin_no_faster_than_its_interval() {
    let mut plan = plan(json!([
        {"type": "kill", "nodes": ["n1"]}, {"type": "pause", "nodes": ["n2"]},
        {"type": "delay", "links": [["n3", "n4"]]},
    ]));
    plan.hold = TimeRange::millis(2000, 3000);
    plan.quiet = TimeRange::millis(0, 100);
    assert_eq!(in_force(&plan).await.0, 1);
    plan.overlap = 3;
    assert_eq!(in_force(&plan).await.0, 3);
    plan.interval = Some(TimeRange::millis(1500, 1500));
    let (_, begun) = in_force(&plan).await;
    assert!(begun.windows(2).all(|w| w[1] - w[0] >= 1500), "{begun:?}");
    assert!(begun.len() > 25, "{begun:?}");
}

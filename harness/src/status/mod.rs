//! What the user sees while a run is on: a few live lines on a terminal, plain lines elsewhere.

mod scene;
mod words;

use std::collections::VecDeque;
use std::io::IsTerminal as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use tribunal_results::Nanos;

pub use self::scene::{Active, Scene};
use self::words::{Asked, Pace};
use crate::plan::Plan;
use crate::recorder::Recorder;

/// How often the live lines change.
const LIVE_INTERVAL: Duration = Duration::from_millis(200);
/// How often a plain line appears.
const PLAIN_INTERVAL: Duration = Duration::from_secs(5);
/// Over how many looks the rate is taken.
const LOOKS: usize = 6;

/// Shows what a run is doing, on standard error.
pub struct Status {
    shared: Arc<Shared>,
}

struct Shared {
    mode: Mode,
    name: String,
    now: Mutex<Now>,
}

/// How far the run is.
#[derive(Default)]
struct Now {
    phase: String,
    /// The recorder's time when the workload began.
    begun: Option<Nanos>,
    /// Of how many operations the checkers have been told, where they follow the run.
    followed: Option<Arc<AtomicU64>>,
}

enum Mode {
    Live(Box<Lines>),
    Plain,
    Quiet,
}

/// The lines of a terminal: what is done, and three more while it is done.
struct Lines {
    head: ProgressBar,
    more: [ProgressBar; 3],
}

impl Lines {
    fn new() -> Self {
        let all = MultiProgress::new();
        let line = |template: &str| {
            let bar = all.add(ProgressBar::new_spinner());
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
            bar
        };
        let lines = Self {
            head: line("{spinner} {wide_msg}"),
            more: [line("{wide_msg}"), line("{wide_msg}"), line("{wide_msg}")],
        };
        lines.head.enable_steady_tick(LIVE_INTERVAL);
        lines
    }

    fn clear(&self) {
        self.more.iter().for_each(ProgressBar::finish_and_clear);
        self.head.finish_and_clear();
    }
}

impl Status {
    /// The status of the run called `name`; silent if `quiet`.
    pub fn new(name: &str, quiet: bool) -> Self {
        let mode = match (quiet, std::io::stderr().is_terminal()) {
            (true, _) => Mode::Quiet,
            (false, true) => Mode::Live(Box::new(Lines::new())),
            (false, false) => Mode::Plain,
        };
        Self {
            shared: Arc::new(Shared {
                mode,
                name: name.to_owned(),
                now: Mutex::default(),
            }),
        }
    }

    /// The run enters a phase.
    pub fn phase(&self, phase: &str) {
        phase.clone_into(&mut self.shared.now().phase);
        let name = &self.shared.name;
        match &self.shared.mode {
            Mode::Live(lines) if phase == "done" => lines.clear(),
            Mode::Live(lines) => lines.head.set_message(format!("{name}  {phase}")),
            Mode::Plain if phase != "done" => anstream::eprintln!("{name}: {phase}"),
            Mode::Plain | Mode::Quiet => {}
        }
    }

    /// From now on operations are invoked: what is left of the plan's time is shown.
    pub fn begin(&self, recorder: &Recorder) {
        self.shared.now().begun = Some(recorder.clock().now());
    }

    /// From now on it is shown how far the checkers that follow the run are.
    pub fn follow(&self, followed: Arc<AtomicU64>) {
        self.shared.now().followed = Some(followed);
    }

    /// Shows what the recorder sees until it is closed. Must be called in a runtime.
    pub fn watch(&self, recorder: &Arc<Recorder>, plan: &Plan) {
        let interval = match self.shared.mode {
            Mode::Live(_) => LIVE_INTERVAL,
            Mode::Plain => PLAIN_INTERVAL,
            Mode::Quiet => return,
        };
        let (shared, asked) = (Arc::clone(&self.shared), Asked::of(plan));
        let recorder = Arc::downgrade(recorder);
        tokio::spawn(async move {
            let mut looks = VecDeque::with_capacity(LOOKS);
            loop {
                tokio::time::sleep(interval).await;
                let Some(recorder) = recorder.upgrade() else {
                    return;
                };
                shared.show(&recorder, &asked, pace(&recorder, &mut looks));
            }
        });
    }
}

impl Shared {
    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn show(&self, recorder: &Recorder, asked: &Asked, pace: Pace) {
        let time = recorder.clock().now();
        let head = {
            let now = self.now();
            let (phase, left) = (&now.phase, words::time(time, now.begun, asked));
            let followed = now.followed.as_ref();
            let followed = followed.map(|count| count.load(Ordering::Relaxed));
            format!(
                "{}  {phase}  {left}  {}",
                self.name,
                words::operations(pace, followed)
            )
        };
        let scene = recorder.scene();
        match &self.mode {
            Mode::Live(lines) => {
                let [nodes, faults, evidence] = &lines.more;
                lines.head.set_message(head);
                nodes.set_message(format!("  nodes     {}", words::nodes(&scene)));
                faults.set_message(format!("  faults    {}", words::faults(&scene, time)));
                let so_far = words::evidence(&scene, pace, asked);
                evidence.set_message(format!("  evidence  {so_far}"));
            }
            Mode::Plain => anstream::eprintln!("{head}  {}", words::faults(&scene, time)),
            Mode::Quiet => {}
        }
    }
}

impl Drop for Status {
    fn drop(&mut self) {
        if let Mode::Live(lines) = &self.shared.mode {
            lines.clear();
        }
    }
}

/// Totals now, and the rate since the oldest of the last looks.
fn pace(recorder: &Recorder, looks: &mut VecDeque<(Nanos, u64)>) -> Pace {
    let totals = recorder.totals();
    let [ok, fail, info] =
        [&totals.ok, &totals.fail, &totals.info].map(|total| total.load(Ordering::Relaxed));
    let (now, all) = (recorder.clock().now(), ok + fail + info);
    let (then, before) = looks.front().copied().unwrap_or((0, 0));
    if looks.len() == LOOKS {
        looks.pop_front();
    }
    looks.push_back((now, all));
    let passed = u128::from(now.saturating_sub(then).max(1));
    let rate = u128::from(all.saturating_sub(before)) * 1_000_000_000 / passed;
    Pace {
        ok,
        fail,
        info,
        rate: u64::try_from(rate).unwrap_or(u64::MAX),
    }
}

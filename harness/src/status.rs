//! What the user sees while a run is on: one live line on a terminal, plain lines elsewhere.

use std::io::IsTerminal as _;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::plan::Plan;
use crate::recorder::Recorder;

/// How often the live line changes.
const LIVE_INTERVAL: Duration = Duration::from_millis(200);
/// How often a plain line appears.
const PLAIN_INTERVAL: Duration = Duration::from_secs(5);

/// Shows what a run is doing, on standard error.
pub struct Status {
    shared: Arc<Shared>,
}

struct Shared {
    mode: Mode,
    name: String,
    phase: Mutex<String>,
}

enum Mode {
    Live(ProgressBar),
    Plain,
    Quiet,
}

impl Status {
    /// The status of the run called `name`; silent if `quiet`.
    pub fn new(name: &str, quiet: bool) -> Self {
        let mode = match (quiet, std::io::stderr().is_terminal()) {
            (true, _) => Mode::Quiet,
            (false, true) => {
                let bar = ProgressBar::new_spinner();
                if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
                    bar.set_style(style);
                }
                bar.enable_steady_tick(LIVE_INTERVAL);
                Mode::Live(bar)
            }
            (false, false) => Mode::Plain,
        };
        let phase = Mutex::new(String::new());
        Self {
            shared: Arc::new(Shared {
                mode,
                name: name.to_owned(),
                phase,
            }),
        }
    }

    /// The run enters a phase.
    pub fn phase(&self, phase: &str) {
        phase.clone_into(
            &mut self
                .shared
                .phase
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        );
        let name = &self.shared.name;
        match &self.shared.mode {
            Mode::Live(bar) if phase == "done" => bar.finish_and_clear(),
            Mode::Live(bar) => bar.set_message(format!("{name}  {phase}")),
            Mode::Plain if phase != "done" => anstream::eprintln!("{name}: {phase}"),
            Mode::Plain | Mode::Quiet => {}
        }
    }

    /// Shows the recorder's totals until it is closed. Must be called in a runtime.
    pub fn watch(&self, recorder: &Arc<Recorder>, plan: &Plan) {
        let interval = match self.shared.mode {
            Mode::Live(_) => LIVE_INTERVAL,
            Mode::Plain => PLAIN_INTERVAL,
            Mode::Quiet => return,
        };
        let (shared, time) = (Arc::clone(&self.shared), plan.time);
        let recorder = Arc::downgrade(recorder);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(interval).await;
                let Some(recorder) = recorder.upgrade() else {
                    return;
                };
                let phase = shared
                    .phase
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .clone();
                let seconds = recorder.clock().now() / 1_000_000_000;
                let (name, totals) = (&shared.name, line(&recorder));
                let text = format!("{name}  {phase}  {seconds}s/{time}  {totals}");
                match &shared.mode {
                    Mode::Live(bar) => bar.set_message(text),
                    Mode::Plain => anstream::eprintln!("{text}"),
                    Mode::Quiet => {}
                }
            }
        });
    }
}

impl Drop for Status {
    fn drop(&mut self) {
        if let Mode::Live(bar) = &self.shared.mode {
            bar.finish_and_clear();
        }
    }
}

fn line(recorder: &Recorder) -> String {
    let totals = recorder.totals();
    let [ok, fail, info, faults] = [&totals.ok, &totals.fail, &totals.info, &totals.faults]
        .map(|total| total.load(Ordering::Relaxed));
    let leaders = match recorder.leaders().join(", ") {
        nobody if nobody.is_empty() => nobody,
        names => format!("  leader {names}"),
    };
    format!("ok {ok}  fail {fail}  info {info}  faults {faults}{leaders}")
}

//! What a step may wait for instead of a time: an operation, a leader, a line in a log.
//!
//! [`Cues`] is the bus between whoever sees something (the recorder, whoever follows logs or asks
//! nodes for their status) and the conductor. It keeps no queue: each step that waits holds a
//! count of what it still has to see, so that nothing is lost and nothing grows.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tribunal_results::Kind;

use super::NemesisPlan;
use super::step::Start;

/// What is waited for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum Cue {
    /// So many operations of that kind were acknowledged.
    Ok {
        /// The kind, by name.
        ok: String,
        /// How many.
        #[serde(default = "once")]
        count: u64,
    },
    /// That node says that it leads, and did not say so when it was asked before.
    Leader {
        /// The node.
        leader: String,
    },
    /// A node's status, as `role: detail`, matches a pattern, and did not when it was asked before.
    Status {
        /// The pattern: text that must occur, in which `*` stands for any.
        status: String,
        /// Which node's; otherwise any's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        node: Option<String>,
    },
    /// A node prints a line that matches a pattern.
    Log {
        /// The pattern: text that must occur, in which `*` stands for any.
        log: String,
        /// Which node; otherwise any.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        node: Option<String>,
        /// The how manyth such line.
        #[serde(default = "once")]
        count: u64,
    },
}

const fn once() -> u64 {
    1
}

/// Something that was seen.
#[derive(Clone, Copy, Debug)]
pub enum Sight<'a> {
    /// An operation of that kind was acknowledged.
    Ok(Kind),
    /// A node began to lead.
    Leader(&'a str),
    /// A node's status became that.
    Status(&'a str, &'a str),
    /// A node printed a line.
    Line(&'a str, &'a str),
}

impl Cue {
    /// The node that it names, if any.
    pub fn node(&self) -> Option<&str> {
        match self {
            Self::Ok { .. } => None,
            Self::Leader { leader } => Some(leader),
            Self::Status { node, .. } | Self::Log { node, .. } => node.as_deref(),
        }
    }

    /// Checks it before anything starts.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self) -> Result<(), String> {
        match self {
            Self::Ok { ok, .. } if Kind::from_name(ok).is_none() => {
                Err(format!("there is no operation {ok:?}"))
            }
            Self::Ok { count: 0, .. } | Self::Log { count: 0, .. } => {
                Err("a count of nothing; counts begin at 1".into())
            }
            Self::Status { status: text, .. } | Self::Log { log: text, .. }
                if text.trim_matches('*').is_empty() =>
            {
                Err("a pattern that everything matches".into())
            }
            _ => Ok(()),
        }
    }

    fn count(&self) -> u64 {
        match self {
            Self::Ok { count, .. } | Self::Log { count, .. } => *count,
            Self::Leader { .. } | Self::Status { .. } => 1,
        }
    }

    fn is_met_by(&self, sight: &Sight<'_>) -> bool {
        let of = |node: &Option<String>, who: &str| node.as_ref().is_none_or(|node| node == who);
        match (self, sight) {
            (Self::Ok { ok, .. }, Sight::Ok(kind)) => kind.name() == ok,
            (Self::Leader { leader }, Sight::Leader(who)) => leader == who,
            (Self::Status { status, node }, Sight::Status(who, text)) => {
                of(node, who) && matches(status, text)
            }
            (Self::Log { log, node, .. }, Sight::Line(who, text)) => {
                of(node, who) && matches(log, text)
            }
            _ => false,
        }
    }
}

/// Whether the parts of the pattern between its `*` occur in the text, in order.
fn matches(pattern: &str, text: &str) -> bool {
    let mut rest = text;
    pattern.split('*').all(|part| match rest.find(part) {
        Some(at) => {
            rest = rest.get(at + part.len()..).unwrap_or_default();
            true
        }
        None => false,
    })
}

/// What the steps of a plan wait for, and what was seen of it.
#[derive(Debug, Default)]
pub struct Cues {
    armed: Vec<Option<Armed>>,
}

#[derive(Debug)]
struct Armed {
    cue: Cue,
    left: AtomicU64,
    met: watch::Sender<bool>,
}

impl Cues {
    /// What the steps of a plan wait for.
    pub fn of(plan: &NemesisPlan) -> Self {
        let arm = |start: &Start| match start {
            Start::At(_) => None,
            Start::When(cue) => Some(Armed {
                left: AtomicU64::new(cue.count()),
                cue: cue.clone(),
                met: watch::Sender::new(false),
            }),
        };
        Self {
            armed: plan.schedule.iter().map(|step| arm(&step.start)).collect(),
        }
    }

    /// Whether anything waits for acknowledged operations.
    pub fn want_operations(&self) -> bool {
        self.want(|cue| matches!(cue, Cue::Ok { .. }))
    }

    /// Whether anything waits for what nodes say of themselves when asked.
    pub fn want_status(&self) -> bool {
        self.want(|cue| matches!(cue, Cue::Leader { .. } | Cue::Status { .. }))
    }

    /// Whether anything waits for what nodes print.
    pub fn want_lines(&self) -> bool {
        self.want(|cue| matches!(cue, Cue::Log { .. }))
    }

    fn want(&self, of: impl Fn(&Cue) -> bool) -> bool {
        self.armed.iter().flatten().any(|armed| of(&armed.cue))
    }

    /// Something was seen. Never waits.
    pub fn saw(&self, sight: &Sight<'_>) {
        for armed in self.armed.iter().flatten() {
            if !armed.cue.is_met_by(sight) {
                continue;
            }
            let less = |left: u64| left.checked_sub(1);
            let before = (armed.left).fetch_update(Ordering::AcqRel, Ordering::Acquire, less);
            if before == Ok(1) {
                armed.met.send_replace(true);
            }
        }
    }

    /// Returns when the step's cue was met; at once if it has none.
    pub(super) async fn met(&self, step: usize) {
        if let Some(Some(armed)) = self.armed.get(step) {
            // The sender lives as long as this.
            let _ = armed.met.subscribe().wait_for(|met| *met).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use tokio::time::{Duration, timeout};

    fn cues(when: serde_json::Value) -> Cues {
        let step = json!({"when": when, "hold": "1s", "type": "kill"});
        let plan = NemesisPlan {
            schedule: vec![serde_json::from_value(step).unwrap()],
            ..NemesisPlan::default()
        };
        Cues::of(&plan)
    }

    async fn is_met(cues: &Cues) -> bool {
        timeout(Duration::from_millis(1), cues.met(0)).await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn a_count_is_met_by_exactly_so_many_of_that_kind() {
        let cues = cues(json!({"ok": "write", "count": 412}));
        assert!(cues.want_operations() && !cues.want_status() && !cues.want_lines());
        for _ in 0..411 {
            cues.saw(&Sight::Ok(Kind::Write));
            cues.saw(&Sight::Ok(Kind::Read));
        }
        assert!(!is_met(&cues).await);
        cues.saw(&Sight::Ok(Kind::Write));
        assert!(is_met(&cues).await);
        cues.saw(&Sight::Ok(Kind::Write));
        assert!(is_met(&cues).await, "what was seen stays seen");
    }

    #[tokio::test(start_paused = true)]
    async fn who_leads_and_what_is_printed_is_told_by_node() {
        let leads = cues(json!({"leader": "n2"}));
        leads.saw(&Sight::Leader("n1"));
        assert!(!is_met(&leads).await);
        leads.saw(&Sight::Leader("n2"));
        assert!(is_met(&leads).await);
        let prints = cues(json!({"log": "prepared*7", "node": "n1"}));
        for (node, line) in [("n2", "prepared 7"), ("n1", "7 prepared"), ("n1", "ready")] {
            prints.saw(&Sight::Line(node, line));
        }
        assert!(!is_met(&prints).await);
        prints.saw(&Sight::Line("n1", "12: prepared transaction 7 of p4"));
        assert!(is_met(&prints).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_status_is_told_by_node_and_pattern_and_only_lines_are_counted() {
        let status = cues(json!({"status": "leader*ballot 3", "node": "n2"}));
        assert!(status.want_status() && !status.want_operations() && !status.want_lines());
        for (node, text) in [("n1", "leader: ballot 3"), ("n2", "leader: ballot 2")] {
            status.saw(&Sight::Status(node, text));
            status.saw(&Sight::Line("n2", "leader: ballot 3"));
        }
        assert!(!is_met(&status).await);
        status.saw(&Sight::Status("n2", "leader: ballot 3"));
        assert!(is_met(&status).await);
        let third = cues(json!({"log": "elected", "count": 3}));
        assert!(third.want_lines() && !third.want_operations() && !third.want_status());
        for node in ["n1", "n2"] {
            third.saw(&Sight::Line(node, "n2 is elected"));
            third.saw(&Sight::Line(node, "n2 is not"));
            assert!(!is_met(&third).await);
        }
        third.saw(&Sight::Line("n3", "n3 is elected"));
        assert!(is_met(&third).await);
    }

    #[test]
    fn cues_that_mean_nothing_are_refused() {
        let check = |cue| serde_json::from_value::<Cue>(cue).unwrap().check();
        assert!(check(json!({"ok": "write", "count": 0})).is_err());
        assert!(check(json!({"ok": "wrote"})).is_err());
        assert!(check(json!({"log": "**"})).is_err());
        assert_eq!(check(json!({"status": "leader*ballot 3"})), Ok(()));
        assert!(serde_json::from_value::<Cue>(json!({"log": "a", "nod": "n1"})).is_err());
    }
}

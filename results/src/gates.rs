//! Gates: thresholds that a suite sets for what a run measured. Missing one says nothing about
//! whether the system is right; it is a *regression*, and what could not be measured is
//! *insufficient*.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::options::Time;
use crate::verdict::{Evidence, Recovery};

/// What a figure is measured in, and so how its thresholds are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A whole number: `2000`.
    Count,
    /// A share from 0 to 1: `2%` or `0.02`.
    Share,
    /// A length of time, kept in seconds: `5s`.
    Time,
}

/// Something that a run measures, and that a gate can be set for.
#[derive(Clone, Copy, Debug)]
pub struct Figure {
    /// What suites call it.
    pub name: &'static str,
    /// What it is, in a few words.
    pub about: &'static str,
    /// What it is measured in.
    pub unit: Unit,
    /// Whether more of it is better.
    pub more_is_better: bool,
    /// Its value; none if there was nothing to measure.
    pub of: fn(&Evidence) -> Option<f64>,
}

const fn figure(
    name: &'static str,
    about: &'static str,
    unit: Unit,
    more_is_better: bool,
    of: fn(&Evidence) -> Option<f64>,
) -> Figure {
    Figure {
        name,
        about,
        unit,
        more_is_better,
        of,
    }
}

/// All that gates can be set for.
pub const FIGURES: [Figure; 13] = [
    figure(
        "ok_operations",
        "operations that took effect",
        Unit::Count,
        true,
        |e| Some(e.total.ok as f64),
    ),
    figure(
        "fail_rate",
        "share of operations that failed",
        Unit::Share,
        false,
        |e| share(e.total.fail, e.total.total()),
    ),
    figure(
        "info_rate",
        "share of operations whose outcome nobody knows",
        Unit::Share,
        false,
        |e| share(e.total.info, e.total.total()),
    ),
    figure(
        "availability",
        "share of what was asked outside faults that was answered",
        Unit::Share,
        true,
        |e| e.calm.as_ref()?.share(),
    ),
    figure(
        "latency_p50",
        "half of the operations that took effect took at most so long",
        Unit::Time,
        false,
        |e| e.latency.map(|latency| seconds(latency.median)),
    ),
    figure(
        "latency_p99",
        "99 % of the operations that took effect took at most so long",
        Unit::Time,
        false,
        |e| e.latency.map(|latency| seconds(latency.p99)),
    ),
    figure(
        "recovery_median",
        "half of the recoveries took at most so long, after the worst kind of fault",
        Unit::Time,
        false,
        |e| recovery(e, |recovery| recovery.median),
    ),
    figure(
        "recovery_p99",
        "99 % of the recoveries took at most so long, after the worst kind of fault",
        Unit::Time,
        false,
        |e| recovery(e, |recovery| recovery.p99),
    ),
    figure("faults", "faults that bit", Unit::Count, true, |e| {
        Some(e.faults_bitten.values().sum::<u64>() as f64)
    }),
    figure(
        "overlap",
        "share of operations that overlapped a fault",
        Unit::Share,
        true,
        |e| (e.total.total() > 0).then_some(e.overlap),
    ),
    figure(
        "cross_observations",
        "answers that showed another client's work",
        Unit::Count,
        true,
        |e| Some(e.cross_observations as f64),
    ),
    figure(
        "concurrency",
        "operations at once",
        Unit::Count,
        true,
        |e| Some(e.concurrency_peak as f64),
    ),
    figure(
        "final_reads",
        "final reads that were answered",
        Unit::Count,
        true,
        |e| Some(e.final_reads as f64),
    ),
];

fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}

/// Of the kind of fault after which it was worst; none if after one of them it was never seen.
fn recovery(evidence: &Evidence, of: fn(&Recovery) -> u64) -> Option<f64> {
    let mut kinds = evidence.recoveries.values();
    if kinds.any(|recovery| recovery.measured == 0) {
        return None;
    }
    evidence.recoveries.values().map(of).max().map(seconds)
}

/// The figure of that name.
pub fn find(name: &str) -> Option<&'static Figure> {
    FIGURES.iter().find(|figure| figure.name == name)
}

impl Unit {
    /// Reads a threshold.
    ///
    /// # Errors
    /// Says how it is written.
    pub fn read(self, value: &Json) -> Result<f64, String> {
        let wrong = || {
            let form = match self {
                Self::Count => "a whole number, such as 2000",
                Self::Share => "a share, such as 2% or 0.02",
                Self::Time => "a length of time, such as 5s",
            };
            format!("{value} is not {form}")
        };
        match (self, value) {
            (Self::Count, Json::Number(n)) => n.as_u64().map(|n| n as f64).ok_or_else(wrong),
            (Self::Share, Json::Number(n)) => {
                let share = n.as_f64().filter(|share| (0.0..=1.0).contains(share));
                share.ok_or_else(wrong)
            }
            (Self::Share, Json::String(text)) => {
                let number = text.trim().strip_suffix('%').map(str::trim);
                let percent = number.and_then(|number| number.parse::<f64>().ok());
                let share = percent.map(|percent| percent / 100.0);
                share
                    .filter(|share| (0.0..=1.0).contains(share))
                    .ok_or_else(wrong)
            }
            (Self::Time, Json::String(text)) => Time::parse(text)
                .map(|time| time.0.as_secs_f64())
                .map_err(|_| wrong()),
            _ => Err(wrong()),
        }
    }

    /// A value in words.
    pub fn show(self, value: f64) -> String {
        match self {
            Self::Count => format!("{value:.0}"),
            Self::Share => format!("{:.2} %", value * 100.0),
            Self::Time if value < 1.0 => format!("{:.2} ms", value * 1e3),
            Self::Time => format!("{value:.2} s"),
        }
    }
}

/// The thresholds of one figure, as they were written.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Gate {
    /// It must not be less.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<Json>,
    /// It must not be more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<Json>,
}

/// The gates of a run, by the figure's name.
pub type Gates = BTreeMap<String, Gate>;

/// What became of one gate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Judged {
    /// The figure.
    pub figure: String,
    /// Its value: a count, a share from 0 to 1, or seconds; none if it could not be measured.
    pub value: Option<f64>,
    /// The threshold, as it was written.
    pub gate: Gate,
    /// Whether the gate was met; nobody can say if it could not be measured.
    pub met: Option<bool>,
}

/// What became of each gate.
pub fn judge(gates: &Gates, evidence: &Evidence) -> Vec<Judged> {
    let one = |(name, gate): (&String, &Gate)| {
        let figure = find(name);
        let value = figure.and_then(|figure| (figure.of)(evidence));
        let met = figure.zip(value).and_then(|(figure, value)| {
            let bound =
                |text: &Option<Json>| text.as_ref().map(|text| figure.unit.read(text)).transpose();
            let (min, max) = (bound(&gate.min).ok()?, bound(&gate.max).ok()?);
            Some(min.is_none_or(|min| value >= min) && max.is_none_or(|max| value <= max))
        });
        Judged {
            figure: name.clone(),
            value,
            gate: gate.clone(),
            met,
        }
    };
    gates.iter().map(one).collect()
}

impl Judged {
    /// `✓`, `✗`, or `?` if it could not be measured.
    pub const fn sign(&self) -> &'static str {
        match self.met {
            Some(true) => "✓",
            Some(false) => "✗",
            None => "?",
        }
    }

    /// In words: `info_rate 3.10 % (at most 2%)`.
    pub fn words(&self) -> String {
        let unit = find(&self.figure).map(|figure| figure.unit);
        let value = match (self.value, unit) {
            (Some(value), Some(unit)) => unit.show(value),
            _ => "not measured".into(),
        };
        let plain = |json: &Json| {
            json.as_str()
                .map_or_else(|| json.to_string(), str::to_owned)
        };
        let bounds = [("at least", &self.gate.min), ("at most", &self.gate.max)];
        let bounds: Vec<String> = bounds
            .iter()
            .filter_map(|(word, bound)| Some(format!("{word} {}", plain(bound.as_ref()?))))
            .collect();
        format!("{} {value} ({})", self.figure, bounds.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::{Answered, Counts};
    use serde_json::json;

    fn evidence() -> Evidence {
        Evidence {
            total: Counts {
                ok: 970,
                fail: 0,
                info: 30,
            },
            calm: Some(Answered {
                asked: 200,
                answered: 199,
            }),
            recoveries: [("kill", 2_000_000_000), ("pause", 6_000_000_000)]
                .map(|(name, p99)| {
                    let recovery = Recovery {
                        measured: 3,
                        p99,
                        ..Recovery::default()
                    };
                    (name.to_owned(), recovery)
                })
                .into(),
            ..Evidence::default()
        }
    }

    fn met(figure: &str, gate: Json) -> Option<bool> {
        let gate: Gate = serde_json::from_value(gate).unwrap();
        let gates = Gates::from([(figure.to_owned(), gate)]);
        judge(&gates, &evidence())[0].met
    }

    #[test]
    fn a_gate_is_met_up_to_its_threshold() {
        assert_eq!(met("ok_operations", json!({"min": 970})), Some(true));
        assert_eq!(met("ok_operations", json!({"min": 971})), Some(false));
        assert_eq!(met("info_rate", json!({"max": "3%"})), Some(true));
        assert_eq!(met("info_rate", json!({"max": 0.029})), Some(false));
        assert_eq!(met("availability", json!({"min": "99.5%"})), Some(true));
        assert_eq!(met("availability", json!({"min": "99.6 %"})), Some(false));
        let between = json!({"min": 900, "max": 960});
        assert_eq!(met("ok_operations", between), Some(false));
    }

    #[test]
    fn the_worst_kind_of_fault_decides_about_recovery() {
        assert_eq!(met("recovery_p99", json!({"max": "6s"})), Some(true));
        assert_eq!(met("recovery_p99", json!({"max": "5s"})), Some(false));
    }

    #[test]
    fn what_was_not_measured_meets_no_gate() {
        assert_eq!(met("latency_p99", json!({"max": "1h"})), None);
        assert_eq!(met("no_such_figure", json!({"min": 0})), None);
    }

    #[test]
    fn a_threshold_has_the_unit_of_its_figure() {
        for (unit, wrong) in [
            (Unit::Count, json!("5s")),
            (Unit::Count, json!(-1)),
            (Unit::Share, json!("2")),
            (Unit::Share, json!(2)),
            (Unit::Share, json!("101%")),
            (Unit::Time, json!(5)),
            (Unit::Time, json!("5")),
        ] {
            assert!(unit.read(&wrong).is_err(), "{unit:?} {wrong}");
        }
        assert_eq!(Unit::Time.read(&json!("250ms")), Ok(0.25));
    }
}

//! Numbers, times and evidence in words: the same in every report and on the terminal.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::Value;

use crate::verdict::{Answered, Evidence};
use crate::{Nanos, Outcome};

/// A count with its thousands set apart: `12,406`.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A count with its noun, in the plural where it is one: `1 kill`, `9 kills`.
pub fn counted(n: u64, noun: &str) -> String {
    let plural = if n == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", count(n))
}

/// An instant, as seconds since the run's origin: `12.402 s`.
pub fn instant(time: Nanos) -> String {
    let ms = time / 1_000_000;
    format!("{}.{:03} s", ms / 1_000, ms % 1_000)
}

/// An instant to the microsecond: `12.402981 s`.
pub fn instant_fine(time: Nanos) -> String {
    let us = time / 1_000;
    format!("{}.{:06} s", us / 1_000_000, us % 1_000_000)
}

/// A length of time with three digits and the unit that suits it: `8.21 ms`.
pub fn duration(ns: Nanos) -> String {
    const UNITS: [(f64, &str); 4] = [(1e9, "s"), (1e6, "ms"), (1e3, "µs"), (1.0, "ns")];
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let ns = ns as f64;
    let (unit, name) = UNITS
        .into_iter()
        .find(|(unit, _)| ns >= *unit)
        .unwrap_or((1.0, "ns"));
    let value = ns / unit;
    match value {
        _ if unit == 1.0 || value >= 100.0 => format!("{value:.0} {name}"),
        _ if value >= 10.0 => format!("{value:.1} {name}"),
        _ => format!("{value:.2} {name}"),
    }
}

/// A share of 0 to 1 in whole percents; above none and below all it says neither 0 nor 100.
pub fn percent(share: f64) -> String {
    let percent = (share * 100.0).round();
    match percent {
        p if p <= 0.0 && share > 0.0 => "<1 %".into(),
        p if p >= 100.0 && share < 1.0 => ">99 %".into(),
        p => format!("{p:.0} %"),
    }
}

/// A share with two significant digits, also below one percent.
pub fn small_percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent >= 10.0 {
        return format!("{percent:.0} %");
    }
    let digits = (-percent.max(1e-12).log10()).ceil().clamp(0.0, 9.0);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "from 0 to 9"
    )]
    let digits = digits as usize + 1;
    format!("{percent:.digits$} %")
}

/// At most `max` characters of a text, with an ellipsis if some were left out.
pub fn clip(text: &str, max: usize) -> Cow<'_, str> {
    match text.char_indices().nth(max) {
        None => Cow::Borrowed(text),
        Some((end, _)) => Cow::Owned(format!("{}…", text.get(..end).unwrap_or_default())),
    }
}

/// The same with what moves a terminal's cursor, or turns the direction of text, made visible:
/// `\u{1b}`.
pub fn visible(text: &str) -> Cow<'_, str> {
    let hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if !text.contains(hidden) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match hidden(c) {
            true => out.extend(c.escape_unicode()),
            false => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// What shows that a fault bit, as people read it: `n2: new pid 412, old pid 397`.
pub fn proof(value: &Value) -> String {
    match value {
        Value::Object(map) => {
            let parts = map.iter().map(|(name, value)| {
                let (name, text) = (name.replace('_', " "), proof(value));
                match value {
                    Value::Object(_) => format!("{name}: {text}"),
                    _ => format!("{name} {text}"),
                }
            });
            let nested = map.values().any(Value::is_object);
            parts
                .collect::<Vec<_>>()
                .join(if nested { "; " } else { ", " })
        }
        Value::String(text) => text.clone(),
        Value::Bool(yes) => (if *yes { "yes" } else { "no" }).into(),
        other => other.to_string(),
    }
}

/// What comes after the operation: `→ 5`, `failed (refused)`, `unknown (timeout)`; empty if it
/// was just done.
pub fn ending(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Ok(answer) => match answer.to_string() {
            none if none.is_empty() => none,
            answer => format!("→ {answer}"),
        },
        Outcome::Fail(reason) => format!("failed ({})", reason.code),
        Outcome::Info(reason) => format!("unknown ({})", reason.code),
    }
}

/// What a run can show for itself, in one line.
pub fn evidence_line(evidence: &Evidence) -> String {
    let total = evidence.total;
    let mut parts = vec![
        format!("{} ok", count(total.ok)),
        format!("{} fail", count(total.fail)),
        format!("{} info", count(total.info)),
    ];
    parts.extend(faults(&evidence.faults_bitten, ""));
    parts.extend(faults(&evidence.faults_idle, " without effect"));
    parts.extend(faults(&evidence.faults_skipped, " skipped"));
    if !(evidence.faults_bitten.is_empty() && evidence.faults_idle.is_empty()) {
        let share = percent(evidence.overlap);
        parts.push(format!("{share} of operations overlapped a fault"));
    }
    parts.push(format!(
        "up to {} at once",
        count(evidence.concurrency_peak)
    ));
    let seen = evidence.cross_observations;
    parts.push(format!(
        "{} that showed another client's work",
        counted(seen, "answer")
    ));
    if evidence.final_reads > 0 {
        parts.push(counted(evidence.final_reads, "final read"));
    }
    if let Some(sides) = &evidence.availability {
        let share = |side: Answered| side.share().map_or("nothing asked".into(), percent);
        parts.push(format!(
            "while parted, answered on the majority's side {}, on the other {}",
            share(sides.majority),
            share(sides.minority)
        ));
    }
    parts.extend(recoveries(evidence));
    if evidence.stood_still > 0 {
        let time = duration(evidence.stood_still);
        parts.push(format!("the machine itself stood still for {time}"));
    }
    parts.join(" · ")
}

/// How long it took to serve again after each kind of fault.
fn recoveries(evidence: &Evidence) -> Option<String> {
    let measured = evidence.recoveries.iter().filter(|(_, r)| r.measured > 0);
    let times: Vec<String> = measured
        .map(|(fault, r)| {
            let (median, slowest) = (duration(r.median), duration(r.slowest));
            format!("{fault} {median} (at most {slowest})")
        })
        .collect();
    (!times.is_empty()).then(|| format!("served again after {}", times.join(", ")))
}

fn faults<'a>(
    counts: &'a BTreeMap<String, u64>,
    how: &'a str,
) -> impl Iterator<Item = String> + 'a {
    let some = counts.iter().filter(|(_, n)| **n > 0);
    some.map(move |(name, &n)| format!("{} × {name}{how}", count(n)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::Counts;

    #[test]
    fn times_and_counts_have_three_digits_and_a_unit() {
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(count(u64::MAX), "18,446,744,073,709,551,615");
        assert_eq!(counted(1, "kill"), "1 kill");
        assert_eq!(instant(12_402_900_000), "12.402 s");
        assert_eq!(instant_fine(12_402_900_000), "12.402900 s");
        assert_eq!(duration(0), "0 ns");
        assert_eq!(duration(8_214_000), "8.21 ms");
        assert_eq!(duration(145_000), "145 µs");
        assert_eq!(percent(0.001), "<1 %");
        assert_eq!(percent(0.999), ">99 %");
        assert_eq!(clip("äöü", 2), "äö…");
        assert_eq!(clip("äöü", 3), "äöü");
    }

    #[test]
    fn nothing_that_moves_a_cursor_reaches_a_terminal() {
        assert_eq!(
            visible("\u{1b}[31mred\r\u{202e}"),
            "\\u{1b}[31mred\\u{d}\\u{202e}"
        );
        assert_eq!(visible("k → 5 é 🦀"), "k → 5 é 🦀");
    }

    #[test]
    fn a_proof_reads_as_text() {
        let value = serde_json::json!({
            "n2": { "new_pid": 412, "old_pid": 397 },
            "n3": { "was_stopped": true, "kernel_state": "T" },
        });
        assert_eq!(
            proof(&value),
            "n2: new pid 412, old pid 397; n3: kernel state T, was stopped yes"
        );
    }

    #[test]
    fn the_evidence_line_names_what_happened_and_leaves_out_what_did_not() {
        let evidence = Evidence {
            total: Counts {
                ok: 12_406,
                fail: 3,
                info: 1,
            },
            faults_bitten: BTreeMap::from([("kill".into(), 9)]),
            faults_skipped: BTreeMap::from([("pause".into(), 1)]),
            overlap: 0.71,
            concurrency_peak: 5,
            cross_observations: 1,
            stood_still: 2_500_000_000,
            ..Evidence::default()
        };
        assert_eq!(
            evidence_line(&evidence),
            "12,406 ok · 3 fail · 1 info · 9 × kill · 1 × pause skipped · 71 % of operations \
             overlapped a fault · up to 5 at once · 1 answer that showed another client's work · \
             the machine itself stood still for 2.50 s"
        );
    }
}

//! A few calls drawn for a terminal: a line for each client, each call between its two events.
//!
//! ```text
//! p1 ├─ write x = 1 ─┤├─ write x = 2 ─┤
//! p4                                   ├─ read x → 1 ─┤
//! ```
//!
//! The axis keeps the order of all events, not their distances: each call gets the room that its
//! words need.

use std::collections::BTreeMap;

use super::text::ending;
use crate::Call;

/// The most calls that are drawn.
const CALLS_MAX: usize = 40;

/// The drawing, line by line; `None` if it would be wider than that many characters, or has too
/// many calls.
pub fn draw(calls: &[&Call], width: usize) -> Option<Vec<String>> {
    if calls.len() > CALLS_MAX {
        return None;
    }
    let bars = place(calls);
    let mut lanes: BTreeMap<u64, Vec<&Bar>> = BTreeMap::new();
    for bar in &bars {
        lanes.entry(bar.process).or_default().push(bar);
    }
    let name = |process: u64| format!("p{process}");
    let names = lanes.keys().map(|process| name(*process).len()).max()?;
    let lines = lanes.iter().map(|(process, bars)| {
        let mut line = format!("{:<names$} ", name(*process));
        let start = line.chars().count();
        for bar in bars {
            let at = start + bar.from;
            let gap = at.saturating_sub(line.chars().count());
            line.push_str(&" ".repeat(gap));
            line.push_str(&bar.text());
        }
        line
    });
    let lines: Vec<String> = lines.collect();
    let fits = |line: &String| line.chars().count() <= width;
    lines.iter().all(fits).then_some(lines)
}

/// One call: its columns, from its invocation to its return.
struct Bar {
    process: u64,
    from: usize,
    to: usize,
    label: String,
    is_open: bool,
}

impl Bar {
    fn text(&self) -> String {
        let room = (self.to + 1).saturating_sub(self.from + 2);
        let line = room.saturating_sub(self.label.chars().count() + 2);
        let (left, right) = (line / 2, line - line / 2);
        let end = if self.is_open { "┄" } else { "┤" };
        let (left, right) = ("─".repeat(left), "─".repeat(right));
        format!("├{left} {} {right}{end}", self.label)
    }
}

/// Gives each event a column: later events stand further right, and each call is wide enough.
fn place(calls: &[&Call]) -> Vec<Bar> {
    let mut events: Vec<(u64, usize, bool)> = Vec::new();
    for (nth, call) in calls.iter().enumerate() {
        events.push((call.invoked.index, nth, false));
        // What never returned is drawn up to the end.
        events.push((call.returned().unwrap_or(u64::MAX), nth, true));
    }
    events.sort_unstable();
    let label = |call: &Call| {
        let words = format!("{} {}", call.operation, ending(&call.outcome));
        words.trim_end().to_owned()
    };
    let mut bars: Vec<Bar> = calls
        .iter()
        .map(|call| Bar {
            process: call.process,
            from: 0,
            to: 0,
            label: label(call),
            is_open: call.completed.is_none(),
        })
        .collect();
    let mut column = 0;
    for (_, nth, is_return) in events {
        let Some(bar) = bars.get_mut(nth) else {
            continue;
        };
        if is_return {
            // Both ends, a dash and a blank on either side of the words.
            column = column.max(bar.from + bar.label.chars().count() + 5);
            bar.to = column;
        } else {
            bar.from = column;
        }
        column += 1;
    }
    bars
}

#[cfg(test)]
mod tests {
    use crate::journal;

    fn drawn(events: &str, width: usize) -> Option<Vec<String>> {
        let header = r#"{"format":"tribunal-history","version":1,"nodes":["n1"]}"#;
        let text = format!("{header}\n{events}");
        let read = journal::read(text.as_bytes()).expect("a history");
        super::draw(&read.history.calls().iter().collect::<Vec<_>>(), width)
    }

    const EVENTS: &str = r#"{"index":0,"time":1,"process":1,"node":"n1","type":"invoke","f":"write","key":"x","value":1}
{"index":1,"time":2,"process":2,"node":"n1","type":"invoke","f":"read","key":"x"}
{"index":2,"time":3,"process":1,"node":"n1","type":"ok","f":"write","key":"x","value":1}
{"index":3,"time":4,"process":2,"node":"n1","type":"ok","f":"read","key":"x","value":1}
{"index":4,"time":5,"process":1,"node":"n1","type":"invoke","f":"read","key":"x"}
"#;

    #[test]
    fn what_overlaps_in_time_overlaps_in_the_drawing() {
        let lines = drawn(EVENTS, 100).expect("a drawing");
        let column = |line: usize, sign: char, nth: usize| {
            let mut at = lines[line].chars().enumerate();
            let mut hits = at.by_ref().filter(|(_, c)| *c == sign);
            hits.nth(nth).map(|(at, _)| at).expect("a sign")
        };
        assert_eq!(lines.len(), 2, "{lines:#?}");
        assert!(column(1, '├', 0) > column(0, '├', 0), "{lines:#?}");
        assert!(column(1, '├', 0) < column(0, '┤', 0), "{lines:#?}");
        assert!(column(0, '┤', 0) < column(1, '┤', 0), "{lines:#?}");
        assert!(column(0, '├', 1) > column(1, '┤', 0), "{lines:#?}");
        assert!(lines[0].ends_with('┄'), "{lines:#?}");
    }

    #[test]
    fn what_is_too_wide_is_not_drawn() {
        assert_eq!(drawn(EVENTS, 20), None);
    }
}

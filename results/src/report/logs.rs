//! What nodes wrote, with the times that the lines themselves tell, so that what was written
//! around an operation can be looked up.

use super::Report;
use super::text::clip;
use crate::Nanos;

/// The most lines that are embedded of each node.
const LINES_MAX: usize = 4_000;
/// The most characters of all logs together that are embedded.
const CHARS_MAX: usize = 400_000;
/// The longest line, in characters.
const LINE_MAX: usize = 400;
/// How far into a line its time is looked for, in bytes.
const TIME_WITHIN: usize = 40;
/// How far outside the record a time may lie before it is taken for something else.
const OUTSIDE: Nanos = 60_000_000_000;

/// What one node wrote.
#[derive(serde::Serialize)]
pub(super) struct Lines<'a> {
    pub node: &'a str,
    /// For each line its time since the run's origin, if it tells it, and its text.
    pub lines: Vec<(Option<Nanos>, String)>,
}

/// The last lines of every node, as many as there is room for.
pub(super) fn of<'a>(report: &Report<'a>) -> Vec<Lines<'a>> {
    let origin = instant(&report.info.started);
    let end = report.history.end().map_or(0, |stamp| stamp.time);
    let room = CHARS_MAX / report.logs.len().max(1);
    let logs = report.logs.iter();
    logs.map(|log| {
        let mut left = room;
        let mut lines = Vec::new();
        for line in log.lines.iter().rev().take(LINES_MAX) {
            let text = clip(line, LINE_MAX).into_owned();
            let Some(rest) = left.checked_sub(text.chars().count() + 1) else {
                break;
            };
            left = rest;
            let time = origin.and_then(|origin| since(origin, line, end));
            lines.push((time, text));
        }
        lines.reverse();
        Lines {
            node: &log.node,
            lines,
        }
    })
    .collect()
}

/// The time of a line since the origin, if it lies within the record.
fn since(origin: i128, line: &str, end: Nanos) -> Option<Nanos> {
    let time = instant(line)? - origin;
    let within = -i128::from(OUTSIDE)..=i128::from(end) + i128::from(OUTSIDE);
    within
        .contains(&time)
        .then(|| u64::try_from(time).unwrap_or(0))
}

/// The first instant that a text names near its beginning, in nanoseconds since 1970: as ISO 8601
/// has it, with a blank for the T, slashes for the dashes or a comma for the point as some logs
/// have it. Without an offset it is taken for UTC.
fn instant(text: &str) -> Option<i128> {
    let bytes = text.as_bytes();
    (0..bytes.len().min(TIME_WITHIN)).find_map(|at| parse(bytes.get(at..)?))
}

fn parse(text: &[u8]) -> Option<i128> {
    const FORM: &[u8] = b"dddd-dd-ddTdd:dd:dd";
    let head = text.get(..FORM.len())?;
    let fits = head.iter().zip(FORM).all(|(have, form)| match form {
        b'd' => have.is_ascii_digit(),
        b'-' => matches!(have, b'-' | b'/'),
        b'T' => matches!(have, b'T' | b' '),
        _ => have == form,
    });
    let number = |from: usize, to: usize| {
        let digits = head.get(from..to).unwrap_or_default().iter();
        digits.fold(0, |n, digit| n * 10 + i128::from(digit - b'0'))
    };
    if !fits {
        return None;
    }
    let days = days(number(0, 4), number(5, 7), number(8, 10))?;
    let seconds = days * 86_400 + number(11, 13) * 3_600 + number(14, 16) * 60 + number(17, 19);
    let rest = text.get(FORM.len()..).unwrap_or_default();
    let (nanos, rest) = fraction(rest);
    Some((seconds - offset(rest)) * 1_000_000_000 + nanos)
}

/// Days since 1970-01-01 of a day of the Gregorian calendar.
fn days(year: i128, month: i128, day: i128) -> Option<i128> {
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Years begin in March, so that the leap day is the last of its year.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let leaps = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    Some(year * 365 + leaps + (153 * month + 2) / 5 + day - 1 - 719_468)
}

/// The fraction of a second, in nanoseconds, and what follows it.
fn fraction(text: &[u8]) -> (i128, &[u8]) {
    let Some((b'.' | b',', digits)) = text.split_first() else {
        return (0, text);
    };
    let count = digits.iter().take_while(|b| b.is_ascii_digit()).count();
    let (digits, rest) = digits.split_at(count);
    let padded = digits
        .iter()
        .copied()
        .chain(std::iter::repeat(b'0'))
        .take(9);
    let nanos = padded.fold(0, |n, digit| n * 10 + i128::from(digit - b'0'));
    (nanos, rest)
}

/// The offset from UTC, in seconds: `+02:00`, `-0730`; none of anything else.
fn offset(text: &[u8]) -> i128 {
    let Some((&sign @ (b'+' | b'-'), rest)) = text.split_first() else {
        return 0;
    };
    let digits: Vec<i128> = rest
        .iter()
        .filter(|b| **b != b':')
        .take(4)
        .map_while(|b| b.is_ascii_digit().then(|| i128::from(b - b'0')))
        .collect();
    let [h1, h0, m1, m0] = *digits else {
        return 0;
    };
    let seconds = (h1 * 10 + h0) * 3_600 + (m1 * 10 + m0) * 60;
    if sign == b'-' { -seconds } else { seconds }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_logs_write_them() {
        let at = 1_795_432_922_340_000_000;
        for text in [
            "2026-11-23T11:22:02.340Z n1 is up",
            "2026/11/23 11:22:02.340000 [raft] up",
            "[2026-11-23 11:22:02,340] INFO up",
            "2026-11-23T13:22:02.34+02:00 INFO",
            "I 2026-11-23T09:52:02.340-0130 up",
        ] {
            assert_eq!(instant(text), Some(at), "{text}");
        }
        assert_eq!(instant("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(
            instant("2024-02-29T00:00:00Z"),
            Some(1_709_164_800_000_000_000)
        );
        for text in ["", "link to n2 is up", "2026-13-01T00:00:00Z", "2026-11-23"] {
            assert_eq!(instant(text), None, "{text}");
        }
    }

    #[test]
    fn a_time_far_outside_the_record_is_none() {
        let origin = instant("2026-11-23T11:22:02Z").unwrap();
        assert_eq!(
            since(origin, "2026-11-23T11:22:03Z x", 5),
            Some(1_000_000_000)
        );
        assert_eq!(since(origin, "2026-11-23T11:22:01Z x", 5), Some(0));
        assert_eq!(since(origin, "2026-11-23T13:22:02Z x", 5), None);
    }
}

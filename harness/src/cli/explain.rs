//! `tribunal explain`: what an anomaly is, shown by a history and judged on the spot.

use anyhow::Context as _;
use clap::Args;
use tribunal_checkers::glossary::{self, Entry, Order};
use tribunal_checkers::{Budget, find};
use tribunal_results::report::{lanes, text};
use tribunal_results::{Anomaly, Call, Record};

use super::{Done, Failure, exit, output};
use crate::suite::nearest;

/// The widest drawing, in characters.
const WIDTH: usize = 110;
/// Where words are wrapped, in characters.
const MARGIN: usize = 92;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tribunal explain                  all anomalies, in a line each
  tribunal explain stale-read       what it is, a history that shows it, and what forbids it
  tribunal explain G-single-realtime
                                    the same of a variant")]
pub(super) struct Explain {
    /// The anomaly, as verdicts and `expect:` name it; all of them if left out
    anomaly: Option<String>,
}

/// Explains one anomaly, or lists them.
pub(super) fn explain(args: &Explain) -> Done {
    let Some(name) = &args.anomaly else {
        for entry in glossary::entries() {
            let first = entry.what.split_inclusive(". ").next();
            let first = first.unwrap_or(entry.what).trim_end();
            anstream::println!("{:<28} {first}", entry.name);
        }
        return Ok(exit::PASS);
    };
    let Some((entry, order)) = glossary::find(name) else {
        return Err(Failure::usage(unknown(name)));
    };
    let (good, faint) = (output::GOOD, output::FAINT);
    anstream::println!("{good}{name}{good:#}\n");
    say(entry.what);
    if let Some(rest) = in_words(order) {
        say(rest);
    }
    anstream::println!("{faint}How it comes about{faint:#}");
    say(entry.cause);
    show(entry)?;
    let finders: Vec<&str> = glossary::finders(name).map(|it| it.name()).collect();
    anstream::println!("{faint}found by{faint:#}      {}", finders.join(", "));
    let models = glossary::forbidden_by(name);
    if !models.is_empty() {
        let models = models.join(" and ");
        anstream::println!("{faint}forbidden by{faint:#}  {models}, and all that is stronger");
    }
    Ok(exit::PASS)
}

fn unknown(name: &str) -> anyhow::Error {
    let known: Vec<&str> = glossary::entries().map(|entry| entry.name).collect();
    let near = nearest(name, &known);
    let meant = near.map_or(String::new(), |near| format!("; did you mean `{near}`?"));
    anyhow::anyhow!("there is no anomaly `{name}`{meant} (`tribunal explain` lists them)")
}

fn in_words(order: Order) -> Option<&'static str> {
    match order {
        Order::Data => None,
        Order::Sessions => Some(
            "Here the contradiction rests on the order of each client's own transactions as well: \
             models that do not keep it allow this.",
        ),
        Order::RealTime => Some(
            "Here the contradiction rests on real time as well: one transaction had been answered \
             before another began. Models that do not keep that order allow this.",
        ),
    }
}

/// The example, and what its checker says of it.
fn show(entry: &Entry) -> Result<(), Failure> {
    let example = &entry.example;
    let record = example.record().context("the example cannot be read")?;
    let checker = find(example.checker).context("the example has no checker")?;
    let verdict = checker.check(&record, Budget::default());
    let of_name = |anomaly: &&Anomaly| anomaly.name == entry.name;
    let anomaly = verdict.anomalies.iter().find(of_name);
    let (bad, faint) = (output::BAD, output::FAINT);
    anstream::println!("{faint}A history that shows it{faint:#}");
    draw(&record);
    if let Some(anomaly) = anomaly {
        anstream::println!("  {bad}✗{bad:#} {}", anomaly.sentence);
        for fact in &anomaly.facts {
            anstream::println!("    · {fact}");
        }
    }
    anstream::println!();
    Ok(())
}

/// Draws the calls; lists them if they are too many for a line.
fn draw(record: &Record) {
    let calls: Vec<&Call> = record.history.calls().iter().collect();
    let lines = lanes::draw(&calls, WIDTH).unwrap_or_else(|| {
        let line = |call: &&Call| {
            let end = text::ending(&call.outcome);
            let from = text::instant(call.invoked.time);
            let to = call
                .completed
                .map_or("?".into(), |at| text::instant(at.time));
            format!("p{} {from} – {to}  {} {end}", call.process, call.operation)
        };
        calls.iter().map(line).collect()
    });
    for line in &lines {
        anstream::println!("  {line}");
    }
    let lines = record.logs.iter().flat_map(|log| &log.lines);
    for line in lines {
        anstream::println!("  {line}");
    }
    if !(record.history.calls().is_empty() && record.logs.is_empty()) {
        anstream::println!();
    }
}

/// Prints a paragraph.
fn say(words: &str) {
    let mut line = String::from(" ");
    for word in words.split_whitespace() {
        if line.chars().count() + 1 + word.chars().count() > MARGIN {
            anstream::println!("{line}");
            line = String::from(" ");
        }
        line.push(' ');
        line.push_str(word);
    }
    anstream::println!("{line}\n");
}

//! `tribunal list`: what suites can name.

use clap::{Args, ValueEnum};
use serde_json::{Value as Json, json};

use super::{Done, exit, output};
use crate::suite;

#[derive(Debug, Args)]
pub(super) struct List {
    /// Only these; everything if left out
    #[arg(value_enum)]
    what: Option<What>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// Built-in suites
    Suites,
    /// Systems to test, with their planted bugs
    Targets,
    /// What clients ask of a target
    Workloads,
    /// What the nemesis can break
    Faults,
    /// What judges a history, and the anomalies it finds (the names for `expect`)
    Checkers,
}

/// One thing with a name.
struct Item {
    name: String,
    about: String,
    details: Vec<String>,
}

/// Lists registries.
pub(super) fn list(args: &List) -> Done {
    let all = [
        What::Suites,
        What::Targets,
        What::Workloads,
        What::Faults,
        What::Checkers,
    ];
    for what in all
        .into_iter()
        .filter(|what| args.what.is_none_or(|only| only == *what))
    {
        let items = items(what);
        let title = what
            .to_possible_value()
            .map(|v| v.get_name().to_owned())
            .unwrap_or_default();
        if args.json {
            let items: Vec<Json> = items.iter().map(as_json).collect();
            anstream::println!("{}", json!({ title: items }));
            continue;
        }
        anstream::println!("{}{title}{:#}", output::GOOD, output::GOOD);
        for item in items {
            anstream::println!("  {:<18} {}", item.name, item.about);
            for detail in item.details {
                anstream::println!("  {:<18} {}{detail}{:#}", "", output::FAINT, output::FAINT);
            }
        }
        anstream::println!();
    }
    Ok(exit::PASS)
}

fn as_json(item: &Item) -> Json {
    json!({ "name": item.name, "about": item.about, "details": item.details })
}

fn items(what: What) -> Vec<Item> {
    let item = |name: &str, about: &str, details: Vec<String>| Item {
        name: name.into(),
        about: about.into(),
        details,
    };
    match what {
        What::Suites => suite::built_in()
            .iter()
            .map(|s| item(s.name, &s.about(), Vec::new()))
            .collect(),
        What::Targets => tribunal_targets::ALL
            .iter()
            .map(|t| item(t.name(), t.about(), target_details(*t)))
            .collect(),
        What::Workloads => tribunal_workloads::ALL
            .iter()
            .map(|w| {
                let judged = format!("judged by {}", w.checkers().join(", "));
                item(w.name(), w.about(), vec![judged])
            })
            .collect(),
        What::Faults => tribunal_nemesis::ALL
            .iter()
            .map(|f| item(f.name(), f.about(), Vec::new()))
            .collect(),
        What::Checkers => tribunal_checkers::ALL
            .iter()
            .map(|c| {
                let finds = match c.anomalies() {
                    [] => Vec::new(),
                    anomalies => vec![format!("finds {}", anomalies.join(", "))],
                };
                item(c.name(), c.about(), finds)
            })
            .collect(),
    }
}

fn target_details(target: &dyn tribunal_targets::Target) -> Vec<String> {
    let operations: Vec<&str> = target.operations().iter().map(|kind| kind.name()).collect();
    let mut details = vec![
        format!("claims {}", target.claims()),
        format!("survives {}", target.survives().join(", ")),
        format!("operations {}", operations.join(", ")),
    ];
    for bug in target.bugs() {
        let anomalies = bug.anomalies.join(" or ");
        details.push(format!("bug {}: {} → {anomalies}", bug.name, bug.about));
    }
    details
}

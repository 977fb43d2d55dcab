//! `tribunal schema`: the JSON schemas of what a run leaves.

use clap::Args;
use tribunal_results::schema::{self, Published};

use super::{Done, Failure, exit};
use crate::suite::{self, nearest};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  tribunal schema                   all schemas, in a line each
  tribunal schema verdict           that of verdict.json, with every reason that there is
  tribunal schema suite > suite.schema.json
                                    then, as the first line of a suite, for editors that speak
                                    YAML: # yaml-language-server: $schema=suite.schema.json")]
pub(super) struct Schema {
    /// The schema to print; all names if left out
    name: Option<String>,
}

/// Every schema, closed over the anomalies that checkers find.
fn published() -> anyhow::Result<Vec<Published>> {
    let checkers = tribunal_checkers::ALL.iter();
    let anomalies: Vec<&str> = checkers
        .flat_map(|checker| checker.anomalies())
        .copied()
        .collect();
    let mut all = schema::published(&anomalies);
    all.push(Published {
        name: "suite",
        file: "suite.json",
        about: "a suite, for editors",
        schema: suite::schema(&suite::Catalogue::built_in()).try_into()?,
    });
    Ok(all)
}

/// Prints one schema, or lists them.
pub(super) fn schema(args: &Schema) -> Done {
    let all = published()?;
    let Some(name) = &args.name else {
        for one in &all {
            anstream::println!("{:<18} {}", one.name, one.about);
        }
        return Ok(exit::PASS);
    };
    let Some(found) = all.iter().find(|one| one.name == name) else {
        let known: Vec<&str> = all.iter().map(|one| one.name).collect();
        let meant = nearest(name, &known);
        let meant = meant.map_or(String::new(), |near| format!("; did you mean `{near}`?"));
        let error =
            anyhow::anyhow!("there is no schema `{name}`{meant} (`tribunal schema` lists them)");
        return Err(Failure::usage(error));
    };
    let text = serde_json::to_string_pretty(&found.schema).map_err(anyhow::Error::new)?;
    anstream::println!("{text}");
    Ok(exit::PASS)
}

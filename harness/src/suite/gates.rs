//! Gates as suites write them: `{ok_operations: {min: 2000}, info_rate: {max: 2%}}`.

use serde_json::Value as Json;
use tribunal_results::gates::{self, FIGURES, Gate, Gates, Unit};

use super::error::Problem;
use super::locate::{Part, Path};
use super::raw::{Read, check_keys, mapping, within};

/// Reads the gates of a run.
pub(super) fn read(value: &Json) -> Read<Gates> {
    let given = mapping("`gates`", value)?;
    let known: Vec<&str> = FIGURES.iter().map(|figure| figure.name).collect();
    check_keys("`gates`", given, &known)?;
    let mut all = Gates::new();
    for figure in &FIGURES {
        let gate = within(given, figure.name, |v| gate(figure.name, figure.unit, v))?;
        all.extend(gate.map(|gate| (figure.name.to_owned(), gate)));
    }
    Ok(all)
}

fn gate(name: &str, unit: Unit, value: &Json) -> Read<Gate> {
    let example = format!("write `{name}: {{{}}}`", example(name, unit));
    let what = format!("the gate `{name}`");
    let map = mapping(&what, value).map_err(|problem| problem.help(example.clone()))?;
    check_keys(&what, map, &["min", "max"])?;
    let bound = |v: &Json| match unit.read(v) {
        Ok(bound) => Ok((v.clone(), bound)),
        Err(title) => Err(Problem::new(title)),
    };
    let min = within(map, "min", bound)?;
    let max = within(map, "max", bound)?;
    match (&min, &max) {
        (None, None) => Err(Problem::new(format!("{what} needs a `min` or a `max`")).help(example)),
        (Some((_, min)), Some((_, max))) if min > max => {
            let title = format!("nothing can meet {what}: its `min` is above its `max`");
            Err(Problem::new(title)
                .at(Path::default().key("min"))
                .on(Part::Entry))
        }
        _ => Ok(Gate {
            min: min.map(|(text, _)| text),
            max: max.map(|(text, _)| text),
        }),
    }
}

fn example(name: &str, unit: Unit) -> String {
    let more = gates::find(name).is_none_or(|figure| figure.more_is_better);
    let side = if more { "min" } else { "max" };
    let value = match unit {
        Unit::Count => "100",
        Unit::Share if more => "99%",
        Unit::Share => "2%",
        Unit::Time => "5s",
    };
    format!("{side}: {value}")
}

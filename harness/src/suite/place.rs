//! `{{suite.dir}}`: the folder of a suite's file, so that it can name the files beside it from
//! wherever it is run.

use std::path::Path;

use serde_json::Value as Json;

/// How it is written.
const VARIABLE: &str = "suite.dir";

/// Fills it in, in every text of a document.
pub(super) fn fill_in(value: &mut Json, dir: &Path) {
    match value {
        Json::String(text) => *text = filled(text, &dir.display().to_string()),
        Json::Array(items) => items.iter_mut().for_each(|item| fill_in(item, dir)),
        Json::Object(map) => map.values_mut().for_each(|value| fill_in(value, dir)),
        _ => {}
    }
}

fn filled(text: &str, dir: &str) -> String {
    let mut parts = text.split("{{");
    let mut filled = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once("}}") {
            Some((name, rest)) if name.trim() == VARIABLE => filled.extend([dir, rest]),
            _ => filled.extend(["{{", part]),
        }
    }
    filled
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_folder_is_filled_in_and_all_else_left_alone() {
        let mut document = json!({ "a": ["{{suite.dir}}/x", 1, "{{ suite.dir }}{{node.id}}"],
                                   "b": "{{suite.dir", "{{suite.dir}}": "{{" });
        fill_in(&mut document, Path::new("/my/suites"));
        let expected = json!({ "a": ["/my/suites/x", 1, "/my/suites{{node.id}}"],
                               "b": "{{suite.dir", "{{suite.dir}}": "{{" });
        assert_eq!(document, expected);
    }
}

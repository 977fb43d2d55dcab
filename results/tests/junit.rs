//! JUnit files are valid by the schema that Jenkins holds them against (`junit-10.xsd`, and its
//! forerunners): which elements, in which order, with which attributes.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]
#![cfg(feature = "report")]

mod pages;

use pages::{HOSTILE, anomaly, info, verdict};
use tribunal_results::ResultClass;
use tribunal_results::report::junit;

/// An element: its name, its attributes, its children, and the text directly in it.
#[derive(Debug, Default)]
struct Element {
    name: String,
    attributes: Vec<(String, String)>,
    children: Vec<Element>,
    text: String,
}

impl Element {
    fn attribute(&self, name: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|(own, _)| own == name);
        found.map(|(_, value)| value.as_str())
    }

    fn count(&self, name: &str) -> usize {
        let own = usize::from(self.name == name);
        own + self
            .children
            .iter()
            .map(|child| child.count(name))
            .sum::<usize>()
    }
}

/// Reads a document of elements, attributes, text and CDATA; refuses what is not well-formed.
fn parse(document: &str) -> Result<Element, String> {
    let legal =
        |c: char| matches!(c, '\t' | '\n' | '\r') || c >= ' ' && !"\u{fffe}\u{ffff}".contains(c);
    if let Some(bad) = document.chars().find(|c| !legal(*c)) {
        return Err(format!("{bad:?} is no character of XML 1.0"));
    }
    let rest = document.trim_start();
    let rest = match rest.strip_prefix("<?xml") {
        Some(rest) => rest.split_once("?>").ok_or("an open declaration")?.1,
        None => rest,
    };
    let (root, rest) = element(rest.trim_start())?;
    match rest.trim() {
        "" => Ok(root),
        more => Err(format!("after the root: {more:.40}")),
    }
}

fn element(text: &str) -> Result<(Element, &str), String> {
    let mut rest = text
        .strip_prefix('<')
        .ok_or_else(|| format!("no element: {text:.40}"))?;
    let end = rest.find([' ', '\n', '/', '>']).ok_or("an open tag")?;
    let mut found = Element {
        name: rest[..end].into(),
        ..Element::default()
    };
    rest = &rest[end..];
    loop {
        rest = rest.trim_start();
        if let Some(after) = rest.strip_prefix("/>") {
            return Ok((found, after));
        }
        if let Some(after) = rest.strip_prefix('>') {
            rest = after;
            break;
        }
        let (name, after) = rest.split_once("=\"").ok_or("an attribute without value")?;
        let (value, after) = after.split_once('"').ok_or("an open attribute")?;
        if value.contains('<') || found.attribute(name).is_some() {
            return Err(format!("attribute {name}"));
        }
        found.attributes.push((name.into(), unescaped(value)?));
        rest = after;
    }
    loop {
        if let Some(after) = rest.strip_prefix("<![CDATA[") {
            let (text, after) = after.split_once("]]>").ok_or("open CDATA")?;
            found.text += text;
            rest = after;
        } else if let Some(after) = rest.strip_prefix("</") {
            let after = after
                .strip_prefix(found.name.as_str())
                .ok_or("crossed tags")?;
            return Ok((
                found,
                after.trim_start().strip_prefix('>').ok_or("crossed tags")?,
            ));
        } else if rest.starts_with('<') {
            let (child, after) = element(rest)?;
            found.children.push(child);
            rest = after;
        } else {
            let end = rest.find('<').ok_or("an element that does not end")?;
            if rest[..end].contains("]]>") {
                return Err("]]> in text".into());
            }
            found.text += &unescaped(&rest[..end])?;
            rest = &rest[end..];
        }
    }
}

fn unescaped(text: &str) -> Result<String, String> {
    let mut parts = text.split('&');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, after) = part
            .split_once(';')
            .ok_or_else(|| format!("a bare & before {part:.20}"))?;
        out.push(match name {
            "lt" => '<',
            "gt" => '>',
            "amp" => '&',
            "quot" => '"',
            "apos" => '\'',
            number => {
                let digits = number
                    .strip_prefix('#')
                    .ok_or_else(|| format!("&{name};"))?;
                let code = match digits.strip_prefix('x') {
                    Some(hex) => u32::from_str_radix(hex, 16),
                    None => digits.parse(),
                };
                let c = code
                    .ok()
                    .and_then(char::from_u32)
                    .ok_or_else(|| format!("&{name};"))?;
                if c < ' ' && !"\t\n\r".contains(c) {
                    return Err(format!("&{name}; is no character of XML 1.0"));
                }
                c
            }
        });
        out += after;
    }
    Ok(out)
}

/// An element of the schema: its children in their order with the most of each, its attributes
/// with whether each must be there, and whether it holds text.
struct Rule(
    &'static str,
    &'static [(&'static str, usize)],
    &'static [(&'static str, bool)],
    bool,
);

const MANY: usize = usize::MAX;
const RULES: [Rule; 9] = [
    Rule(
        "testsuites",
        &[("testsuite", MANY)],
        &[
            ("name", false),
            ("time", false),
            ("tests", false),
            ("failures", false),
            ("disabled", false),
            ("errors", false),
        ],
        false,
    ),
    Rule(
        "testsuite",
        &[
            ("properties", 1),
            ("testcase", MANY),
            ("system-out", 1),
            ("system-err", 1),
        ],
        &[
            ("name", true),
            ("tests", true),
            ("failures", false),
            ("errors", false),
            ("time", false),
            ("disabled", false),
            ("skipped", false),
            ("timestamp", false),
            ("hostname", false),
            ("id", false),
            ("package", false),
        ],
        false,
    ),
    Rule("properties", &[("property", MANY)], &[], false),
    Rule("property", &[], &[("name", true), ("value", true)], false),
    Rule(
        "testcase",
        &[
            ("skipped", 1),
            ("error", MANY),
            ("failure", MANY),
            ("system-out", MANY),
            ("system-err", MANY),
        ],
        &[
            ("name", true),
            ("assertions", false),
            ("time", false),
            ("classname", false),
            ("status", false),
        ],
        false,
    ),
    Rule("failure", &[], &[("type", false), ("message", false)], true),
    Rule("error", &[], &[("type", false), ("message", false)], true),
    Rule("system-out", &[], &[], true),
    Rule("system-err", &[], &[], true),
];

/// The first thing that the schema forbids.
fn invalid(element: &Element) -> Option<String> {
    let name = &element.name;
    let Some(Rule(_, children, attributes, texts)) = RULES.iter().find(|rule| rule.0 == name)
    else {
        return Some(format!("there is no element {name}"));
    };
    for (attribute, value) in &element.attributes {
        if !attributes.iter().any(|(known, _)| known == attribute) {
            return Some(format!("{name} has no attribute {attribute}"));
        }
        let counts = ["tests", "failures", "errors", "disabled"].contains(&attribute.as_str());
        if counts && value.parse::<u64>().is_err()
            || attribute == "time" && value.parse::<f64>().is_err()
        {
            return Some(format!("{name}: {attribute} is {value:?}"));
        }
    }
    if let Some((missing, _)) = attributes
        .iter()
        .find(|(known, must)| *must && element.attribute(known).is_none())
    {
        return Some(format!("{name} without {missing}"));
    }
    if !texts && !element.text.trim().is_empty() {
        return Some(format!("text in {name}"));
    }
    let mut at = 0;
    for child in &element.children {
        let place = children.iter().position(|(known, _)| *known == child.name);
        match place {
            Some(place) if place >= at => at = place,
            _ => return Some(format!("{} in {name}, or not in its place", child.name)),
        }
        let same = element
            .children
            .iter()
            .filter(|other| other.name == child.name);
        if same.count() > children[at].1 {
            return Some(format!("too many {} in {name}", child.name));
        }
    }
    let empty = name == "properties" && element.children.is_empty();
    let empty = empty.then(|| "no property in properties".to_owned());
    empty.or_else(|| element.children.iter().find_map(invalid))
}

fn is_valid(xml: &str) -> Result<Element, String> {
    let root = parse(xml)?;
    if root.name != "testsuites" {
        return Err(format!("the root is {}", root.name));
    }
    invalid(&root).map_or(Ok(root), Err)
}

/// Text that breaks careless writers, 10 kB of it.
fn hostile() -> String {
    format!(
        "{HOSTILE}<![CDATA[ ]]> &amp; &#0; \u{fffe}\u{8}\u{85}{}",
        "x".repeat(10_000)
    )
}

#[test]
fn junit_of_all_classes_and_hostile_texts_is_valid() {
    for text in ["", "plain", &hostile()] {
        let infos = ResultClass::BY_WEIGHT.map(|class| info(class, text));
        let verdicts =
            ResultClass::BY_WEIGHT.map(|class| verdict(class, text, vec![anomaly(text, vec![])]));
        let runs: Vec<_> = infos.iter().zip(&verdicts).collect();
        let root = is_valid(&junit::render(&runs).unwrap()).unwrap();
        assert_eq!(root.count("testcase"), 7);
        assert_eq!((root.count("failure"), root.count("error")), (4, 2));
        assert_eq!(root.attribute("tests"), Some("7"));
        is_valid(&junit::render(&[]).unwrap()).unwrap();
    }
}

#[test]
fn runs_are_gathered_by_workload_and_profile_and_told_by_seed_bundle_and_evidence() {
    let (mut a, mut b) = (
        info(ResultClass::Pass, ""),
        info(ResultClass::Violation, ""),
    );
    (a.seed, b.seed) = (1, 2);
    (a.profile, b.profile) = (Some("pr".into()), Some("pr".into()));
    let mut c = a.clone();
    c.profile = None;
    c.faults = vec!["pause".into()];
    let fine = verdict(ResultClass::Pass, "", vec![]);
    let found = verdict(ResultClass::Violation, "", vec![anomaly("", vec![])]);
    let xml = junit::render(&[(&a, &fine), (&b, &found), (&c, &fine)]).unwrap();
    let root = is_valid(&xml).unwrap();
    let names: Vec<_> = root
        .children
        .iter()
        .map(|suite| suite.attribute("name").unwrap())
        .collect();
    assert_eq!(names, ["register × pr", "register × suite"]);
    let suite = &root.children[0];
    let cases: Vec<_> = suite
        .children
        .iter()
        .filter_map(|c| c.attribute("classname").and(c.attribute("name")))
        .collect();
    assert_eq!(cases, ["plan@1", "plan@2"]);
    let property = |name: &str| {
        let all = &suite.children[0].children;
        let found = all.iter().find(|p| p.attribute("name") == Some(name));
        found.and_then(|p| p.attribute("value")).unwrap()
    };
    assert_eq!(property("plan@2.seed"), "2");
    assert_eq!(property("plan@2.bundle"), "/runs/");
    assert_eq!(property("plan@2.faults"), "kill");
    assert!(property("plan@1.evidence").contains("ok"));
    assert_eq!(property("plan@2.reason"), found.reason);
}

#[test]
fn what_the_schema_forbids_is_found() {
    let valid = "<testsuites><testsuite name=\"s\" tests=\"1\"><testcase name=\"c\"/></testsuite></testsuites>";
    assert!(is_valid(valid).is_ok());
    for (broken, why) in [
        (valid.replace(" tests=\"1\"", ""), "testsuite without tests"),
        (valid.replace("tests=\"1\"", "tests=\"one\""), "tests is"),
        (valid.replace("<testcase name=\"c\"/>", "<testcase name=\"c\"><properties><property name=\"a\" value=\"b\"/></properties></testcase>"), "properties in testcase"),
        (valid.replace("<testcase name=\"c\"/>", "<testcase name=\"c\"/><properties><property name=\"a\" value=\"b\"/></properties>"), "not in its place"),
        (valid.replace("<testcase", "text<testcase"), "text in testsuite"),
        (valid.replace("name=\"c\"", "name=\"&#0;\""), "no character"),
        (valid.replace("name=\"c\"", "name=\"\u{1b}\""), "no character"),
        (valid.replace("name=\"c\"", "name=\"<\""), "attribute"),
        (valid.replace("</testsuite>", "</testcase>"), "crossed"),
    ] {
        let error = is_valid(&broken).unwrap_err();
        assert!(error.contains(why), "{broken}: {error}");
    }
}

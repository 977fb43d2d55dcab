//! Served pages in a headless Chromium.

use crate::devtools::{self, Browser};
use crate::site::{Site, judge, put, record};

const PLACE: &str = "/run/a/01-x/operations";
/// Whether operations are held and drawn.
const READY: &str = "window.operations && operations.loaded && operations.suffices";

fn site(operations: u64) -> Site {
    Site::of(|out| {
        let dir = put(out, "a", "01-x", "violation", "<i>");
        let middle = operations + operations % 2 + 2;
        judge(&dir, "violation", "stale-read", &[middle, middle + 2]);
        record(&dir, operations);
        judge(&put(out, "b", "02-x", "pass", ""), "pass", "", &[]);
    })
}

#[test]
fn the_list_filters_and_asks_nobody_else() {
    let Some(program) = devtools::program() else {
        return;
    };
    let site = site(100);
    let mut browser = Browser::start(&program);
    let rows = "document.querySelectorAll('.runs tbody tr').length";
    browser.visit(&site.origin(), "/", &format!("{rows} === 2"));
    // What the form asks for; a page that goes away under a waiting script would be an error.
    let asked = browser.run(
        "document.querySelector('select[name=class]').value = 'pass';
        new URLSearchParams(new FormData(document.querySelector('form'))).toString()",
    );
    let filtered = format!("/?{}", asked.as_str().unwrap());
    browser.visit(
        &site.origin(),
        &filtered,
        &format!("location.search.includes('class=pass') && {rows} === 1"),
    );
    browser.visit(
        &site.origin(),
        "/trends?suite=b&plan=plan",
        "document.querySelectorAll('svg').length === 3",
    );
    browser.visit(
        &site.origin(),
        "/run/b/02-x",
        "document.querySelectorAll('#files tbody tr').length === 2",
    );
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

/// Opens all operations; returns how long that took once the index was built, the median work of
/// a frame while panning, and the frames, in milliseconds.
fn pan(browser: &mut Browser, site: &Site) -> (f64, f64, u64) {
    browser.visit(&site.origin(), PLACE, READY);
    browser.visit(&site.origin(), "/", "true");
    browser.visit(&site.origin(), PLACE, READY);
    let opened = browser.run("performance.now()").as_f64().unwrap();
    browser.press("0");
    browser.wait(READY);
    browser.press("+");
    browser.press("+");
    browser.press("+");
    let measured = browser.run(
        "(async () => {
            const work = [], original = window.requestAnimationFrame;
            window.requestAnimationFrame = (draw) => original((time) => {
                const from = performance.now();
                draw(time);
                work.push(performance.now() - from);
            });
            for (let n = 0; n < 120; n++) {
                const key = n % 40 < 20 ? 'ArrowRight' : 'ArrowLeft';
                dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }));
                await new Promise((done) => original(done));
            }
            window.requestAnimationFrame = original;
            return [work.length, work.sort((a, b) => a - b)[work.length >> 1], operations.fetches];
        })()",
    );
    let median = measured[1].as_f64().unwrap();
    let frames = measured[0].as_u64().unwrap();
    eprintln!(
        "opened in {opened:.0} ms; {frames} frames, median work {median:.1} ms; fetches {}",
        measured[2]
    );
    (opened, median, frames)
}

fn usable(operations: u64) -> (f64, f64, u64) {
    let Some(program) = devtools::program() else {
        return (0.0, 0.0, u64::MAX);
    };
    let site = site(operations);
    let mut browser = Browser::start(&program);
    let measured = pan(&mut browser, &site);
    // A filter is counted over the whole run.
    browser.run("document.getElementById('filter').value = 'k7 fail'; document.getElementById('filter').dispatchEvent(new Event('input'));");
    browser.wait("operations.loaded.filter === 'k7 fail'");
    let told = browser.run("document.getElementById('matches').textContent");
    let expected = (0..operations)
        .filter(|n| n % 101 == 7 && n % 10 == 7)
        .count();
    assert_eq!(
        told.as_str().unwrap().replace(',', ""),
        format!("{expected} of {operations}")
    );
    // An address opens an operation, with the texts that the file has.
    let last = 2 + 2 * (operations - 1);
    browser.visit(&site.origin(), "/", "true");
    let details = "document.getElementById('details').textContent.includes('write k')";
    browser.visit(
        &site.origin(),
        &format!("{PLACE}#op={last}"),
        &format!("{READY} && {details}"),
    );
    let text = browser.run("document.getElementById('details').textContent");
    assert!(
        text.as_str()
            .unwrap()
            .contains(&format!("= {}", operations - 1)),
        "{text}"
    );
    assert_eq!(browser.complaints(), Vec::<String>::new());
    measured
}

#[test]
fn all_operations_are_drawn_filtered_and_opened() {
    let (_, _, frames) = usable(50_000);
    assert!(frames >= 100, "{frames}");
}

#[test]
fn the_legend_of_all_operations_says_what_is_broken_and_who_leads() {
    let Some(program) = devtools::program() else {
        return;
    };
    let later = [
        r#"{"index":202,"time":2000000,"process":"nemesis","node":"n1","type":"info","f":"leader","value":{"leads":true}}"#,
        r#"{"index":203,"time":2000001,"process":"nemesis","type":"invoke","f":"kill","value":{"id":0,"phase":"inject","nodes":["n1"],"what":"kill n1"}}"#,
        r#"{"index":204,"time":2000002,"process":"nemesis","type":"info","f":"kill","value":{"id":0,"phase":"injected","nodes":["n1"],"what":"kill n1"}}"#,
    ];
    let site = Site::of(|out| {
        for (name, later) in [("01-x", &later[..]), ("02-x", &[])] {
            let dir = put(out, "a", name, "pass", "");
            record(&dir, 100);
            let history = dir.join("history.jsonl");
            let mut text = std::fs::read_to_string(&history).unwrap();
            later.iter().for_each(|line| text += &format!("{line}\n"));
            std::fs::write(&history, text).unwrap();
        }
    });
    let mut browser = Browser::start(&program);
    let mut legend = |page: &str| {
        browser.visit(&site.origin(), page, READY);
        let shown = browser.run("document.getElementById('legend').innerText");
        shown.as_str().unwrap().to_owned()
    };
    let broken = legend(PLACE);
    assert!(
        broken.contains("kill") && broken.contains("leads"),
        "{broken}"
    );
    let nothing = legend("/run/a/02-x/operations");
    assert!(
        !nothing.contains("kill") && !nothing.contains("leads"),
        "{nothing}"
    );
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
#[ignore = "by hand: a million operations; build with --release for the figures"]
fn a_million_operations_are_usable() {
    let (opened, median, frames) = usable(1_000_000);
    assert!(
        opened <= 2_000.0 && median <= 16.0 && frames >= 100,
        "{opened} {median} {frames}"
    );
}

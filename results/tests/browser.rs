//! Reports opened in a headless Chromium: that they draw, answer keys, and ask nobody anything.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails by panicking, and says what it skips and measures"
)]
#![cfg(feature = "report")]

mod devtools;
mod pages;

use devtools::Browser;
use pages::{HOSTILE, anomaly, history, info, messages, page, page_with, verdict};
use serde_json::json;
use tribunal_results::ResultClass;

/// The page of a run in which everything that a node or client may name is hostile.
fn hostile_page() -> String {
    let found = vec![anomaly(HOSTILE, vec![3, 7]), anomaly(HOSTILE, vec![9, 11])];
    page_with(
        &history(60, HOSTILE),
        Some(&messages(HOSTILE)),
        &info(ResultClass::Violation, HOSTILE),
        &verdict(ResultClass::Violation, HOSTILE, found),
        HOSTILE,
    )
}

/// The page of so many operations on `k`, with two contradictions early on.
fn plain_page(operations: u64) -> String {
    let found = vec![anomaly("", vec![3, 7]), anomaly("", vec![9, 11])];
    let verdict = verdict(ResultClass::Violation, "", found);
    page(
        &history(operations, "k"),
        &info(ResultClass::Violation, ""),
        &verdict,
        "k",
    )
}

/// Nanoseconds from and to which the timeline shows, by the address that it offers.
const SHOWN: &str = "document.getElementById('where').hash.slice(3).split('..').map(parseFloat)";

#[test]
fn every_section_is_drawn_and_hostile_text_does_nothing() {
    let Some(program) = devtools::program() else {
        return;
    };
    let mut browser = Browser::start(&program);
    browser.open(&hostile_page(), "");
    let sections = browser.run(
        "[...document.querySelectorAll('main > section')]
            .filter((s) => s.getBoundingClientRect().height > 60).map((s) => s.id)",
    );
    let expected = [
        "summary",
        "contradictions",
        "timeline",
        "messages",
        "performance",
        "faults",
        "nodes",
        "evidence",
        "reproduce",
    ];
    assert_eq!(sections, json!(expected));
    for canvas in ["overview", "lanes", "latency", "throughput"] {
        let colours = browser.run(&format!(
            "(async () => {{
                const canvas = document.getElementById('{canvas}');
                canvas.scrollIntoView();
                await new Promise((done) => setTimeout(() => requestAnimationFrame(done), 50));
                const {{ width, height }} = canvas;
                const pixels = canvas.getContext('2d').getImageData(0, 0, width, height).data;
                return new Set(new Uint32Array(pixels.buffer)).size;
            }})()"
        ));
        assert!(colours.as_u64().unwrap() > 5, "{canvas}: {colours} colours");
    }
    let drawn = browser.run(
        "[document.querySelectorAll('svg.exchange .message').length,
          document.querySelectorAll('#contradiction-1 svg.calls .bar').length,
          document.scripts.length]",
    );
    assert_eq!(drawn, json!([12, 2, 1]));
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn the_contradiction_is_in_view_on_load() {
    let Some(program) = devtools::program() else {
        return;
    };
    let mut browser = Browser::start(&program);
    browser.open(&plain_page(3_000), "");
    let top = browser.run("document.querySelector('#contradiction-1').getBoundingClientRect().top");
    assert!(top.as_f64().unwrap() < 900.0, "{top}");
    let width = "document.getElementById('lanes').width";
    // It spans 0 to 5 ms of 6 ms.
    let shown = browser.run(SHOWN);
    assert!(
        shown[0].as_f64().unwrap() <= 3e-6 && shown[1].as_f64().unwrap() >= 5e-3,
        "{shown}"
    );
    // Without one the timeline itself is, and is drawn before anything moves.
    let (info, verdict) = (
        info(ResultClass::Pass, ""),
        verdict(ResultClass::Pass, "", vec![]),
    );
    browser.open(&page(&history(90, "k"), &info, &verdict, "k"), "");
    assert!(browser.run(width).as_u64().unwrap() > 900);
}

#[test]
fn keys_and_addresses_lead_everywhere() {
    let Some(program) = devtools::program() else {
        return;
    };
    let mut browser = Browser::start(&program);
    let page = plain_page(3_000);
    browser.open(&page, "#t=1ms..2ms");
    let width = "(([a, b]) => b - a)(".to_owned() + SHOWN + ")";
    let seen = |browser: &mut Browser| browser.run(&width).as_f64().unwrap();
    assert!((seen(&mut browser) - 1e-3).abs() < 1e-5);
    browser.press("+");
    assert!((seen(&mut browser) - 0.6e-3).abs() < 1e-5);
    browser.press("0");
    assert!(seen(&mut browser) > 5.9e-3);
    browser.press("n");
    let matches = "document.getElementById('matches').textContent";
    assert_eq!(browser.run(matches), "contradiction 2 of 2");
    browser.press("?");
    assert_eq!(browser.run("document.getElementById('help').open"), true);
    browser.run("document.getElementById('help').close()");
    browser.press("/");
    assert_eq!(browser.run("document.activeElement.id"), "filter");
    browser.run(
        "(async () => {
            const filter = document.getElementById('filter');
            filter.value = 'k fail';
            filter.dispatchEvent(new Event('input'));
            await new Promise((done) => setTimeout(done, 400));
        })()",
    );
    assert_eq!(browser.run(matches), "1,000 of 3,000");
    // The second operation, on a number that no floating-point number holds.
    browser.open(&page, "#op=5");
    let told = "document.getElementById('details').textContent";
    let told = browser.run(told).to_string();
    assert!(told.contains(&(i64::MAX - 1).to_string()), "{told}");
    browser.open(&page, "#op=4");
    let told = browser
        .run("document.getElementById('details').textContent")
        .to_string();
    assert!(told.contains("not among those"), "{told}");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn a_hundred_thousand_operations_pan_smoothly() {
    let Some(program) = devtools::program() else {
        return;
    };
    let mut browser = Browser::start(&program);
    browser.open(&plain_page(100_000), "#timeline");
    browser.press("0");
    browser.press("+");
    // What the page's own work takes in each frame, and how far apart frames are.
    let measured = browser.run(
        "(async () => {
            document.getElementById('timeline').scrollIntoView();
            const work = [], apart = [], original = window.requestAnimationFrame;
            window.requestAnimationFrame = (draw) => original((time) => {
                const from = performance.now();
                draw(time);
                work.push(performance.now() - from);
            });
            let last = null;
            for (let n = 0; n < 120; n++) {
                const key = n % 40 < 20 ? 'ArrowRight' : 'ArrowLeft';
                dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }));
                const time = await new Promise((done) => original(done));
                if (last !== null) apart.push(time - last);
                last = time;
            }
            window.requestAnimationFrame = original;
            const median = (list) => list.sort((a, b) => a - b)[list.length >> 1];
            return [work.length, median(work), median(apart)];
        })()",
    );
    eprintln!("frames drawn, median work and median distance in ms: {measured}");
    assert!(measured[0].as_u64().unwrap() >= 100, "{measured}");
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

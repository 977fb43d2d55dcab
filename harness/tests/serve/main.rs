//! Runs are browsed: through the real binary, by a client over TCP and in a headless Chromium.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test may panic, and says what it skips and measures"
)]
#![cfg(feature = "serve")]

mod browser;
#[path = "../../../results/tests/devtools/mod.rs"]
mod devtools;
mod pages;
mod site;

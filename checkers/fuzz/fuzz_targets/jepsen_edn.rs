//! `jepsen-edn` under libFuzzer.
#![no_main]

#[path = "../bodies.rs"]
mod bodies;

libfuzzer_sys::fuzz_target!(|data: &[u8]| bodies::jepsen_edn(data));

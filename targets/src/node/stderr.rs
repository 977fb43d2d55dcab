//! The node's log: lines on the standard error, which the harness keeps.

/// Writes one line, with its time, so that reports find what was written around an operation. The
/// wording is calm on purpose: the log is searched for crashes.
#[expect(
    clippy::print_stderr,
    reason = "a reference node is a process of its own whose log is its standard error"
)]
pub(super) fn note(text: &str) {
    eprintln!("{:.6} {text}", jiff::Timestamp::now());
}

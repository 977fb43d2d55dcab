//! The one binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    // Before anything else: the guard must stay a single small thread.
    if std::env::args().nth(1).as_deref() == Some("guard") {
        return tribunal::cluster::guard_main();
    }
    ExitCode::SUCCESS
}

//! Ctrl-C and SIGTERM: the first asks the run to end well, the second ends at once.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::exit;

/// A value that turns true at the first SIGINT or SIGTERM, with a line that says what is done
/// then. Must be called in a runtime.
///
/// # Errors
/// If signals cannot be waited for.
pub(super) fn on_signal(says: &'static str) -> std::io::Result<watch::Receiver<bool>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if *stop.borrow() {
                quit();
            }
            anstream::eprintln!("stopping: {says}");
            stop.send_replace(true);
        }
    });
    Ok(stopped)
}

/// Ends the controller at once; its guard kills the nodes.
#[expect(
    clippy::disallowed_methods,
    reason = "the user asked a second time to end at once"
)]
fn quit() -> ! {
    std::process::exit(i32::from(exit::INTERRUPTED))
}

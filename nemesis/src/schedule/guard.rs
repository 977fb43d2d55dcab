//! A fault that hangs or panics must not end the run, let alone silently.

use std::future::Future;
use std::time::Duration;

use tokio::time::timeout;

/// The most that injecting or healing may take.
pub(super) const LIMIT: Duration = Duration::from_secs(10);

/// How long to wait for work that was called off to let go.
const LET_GO: Duration = Duration::from_secs(1);

/// Does the work in a task of its own, for at most [`LIMIT`].
///
/// # Errors
/// Says that `what` panicked (and with which words) or took too long.
pub(super) async fn guard<T: Send + 'static>(
    what: &str,
    work: impl Future<Output = T> + Send + 'static,
) -> Result<T, String> {
    let mut task = tokio::spawn(work);
    match timeout(LIMIT, &mut task).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(e)) if e.is_panic() => {
            let words = e.into_panic();
            let words = words
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| words.downcast_ref::<&str>().copied())
                .unwrap_or("without words");
            tracing::error!("{what} panicked: {words}");
            Err(format!("{what} panicked: {words}"))
        }
        Ok(Err(_)) => Err(format!("{what} was called off")),
        Err(_) => {
            task.abort();
            // Whether it let go or not, the cure comes next.
            let _ = timeout(LET_GO, task).await;
            tracing::error!("{what} took longer than {LIMIT:?}");
            Err(format!("{what} took longer than {LIMIT:?}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn work_that_hangs_is_called_off() {
        let problem = guard("waiting", std::future::pending::<()>()).await;
        assert_eq!(problem, Err("waiting took longer than 10s".into()));
    }

    #[tokio::test]
    async fn a_panic_becomes_words() {
        let text = String::from("no such thing");
        let problem = guard::<()>("asking", async move { panic!("{text}") }).await;
        assert_eq!(problem, Err("asking panicked: no such thing".into()));
        assert_eq!(guard("asking", async { 7 }).await, Ok(7));
    }
}

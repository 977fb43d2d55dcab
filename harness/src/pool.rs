//! Work done several at a time: every batch of runs (campaigns, proofs, replays) goes through here.

use std::future::Future;

use tokio::sync::watch;
use tokio::task::JoinSet;

/// What happens after one piece of work is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Another is begun.
    Begin,
    /// None is begun any more; those under way come to their end.
    Finish,
    /// Those under way are dropped.
    End,
}

/// Does `work`, `jobs` at once, and tells of each piece when it is done (an error: it panicked).
/// Pieces are asked for only when there is room for them. When `stop` turns true none is begun any
/// more; those under way are waited for, and end as they think fit. Dropped, it drops them.
pub async fn run<F>(
    work: impl IntoIterator<Item = F>,
    jobs: usize,
    stop: &watch::Receiver<bool>,
    mut tell: impl FnMut(Result<F::Output, String>) -> Next,
) where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let mut work = work.into_iter();
    let mut under_way = JoinSet::new();
    let mut begins = true;
    loop {
        while begins && under_way.len() < jobs.max(1) && !*stop.borrow() {
            match work.next() {
                Some(piece) => {
                    under_way.spawn(piece);
                }
                None => begins = false,
            }
        }
        let Some(joined) = under_way.join_next().await else {
            return;
        };
        match tell(joined.map_err(|e| e.to_string())) {
            Next::Begin => {}
            Next::Finish => begins = false,
            Next::End => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn never() -> watch::Receiver<bool> {
        // A value whose sender is gone keeps what it was.
        watch::channel(false).1
    }

    /// Pieces of work that count how many of them are under way, at most.
    fn counting(most: Arc<AtomicUsize>) -> impl Iterator<Item = impl Future<Output = usize>> {
        let now = Arc::new(AtomicUsize::new(0));
        (0..20).map(move |piece| {
            let (now, most) = (Arc::clone(&now), Arc::clone(&most));
            async move {
                most.fetch_max(1 + now.fetch_add(1, Ordering::SeqCst), Ordering::SeqCst);
                tokio::task::yield_now().await;
                now.fetch_sub(1, Ordering::SeqCst);
                piece
            }
        })
    }

    #[tokio::test]
    async fn all_work_is_done_and_never_more_at_once_than_allowed() {
        let most = Arc::new(AtomicUsize::new(0));
        let mut done = Vec::new();
        let tell = |piece: Result<usize, String>| {
            done.extend(piece);
            Next::Begin
        };
        run(counting(Arc::clone(&most)), 3, &never(), tell).await;
        done.sort_unstable();
        assert_eq!(done, (0..20).collect::<Vec<_>>());
        assert_eq!(most.load(Ordering::SeqCst), 3);
    }

    #[tokio::test]
    async fn to_finish_waits_for_what_is_under_way_and_to_end_does_not() {
        let most = Arc::new(AtomicUsize::new(0));
        for (next, expected) in [(Next::Finish, 3), (Next::End, 1)] {
            let mut done = 0;
            let tell = |_: Result<usize, String>| {
                done += 1;
                next
            };
            run(counting(Arc::clone(&most)), 3, &never(), tell).await;
            assert_eq!(done, expected, "{next:?}");
        }
    }

    #[tokio::test]
    async fn nothing_is_begun_after_a_stop() {
        let (stop, stopped) = watch::channel(false);
        let mut done = 0;
        let most = Arc::new(AtomicUsize::new(0));
        let tell = |_: Result<usize, String>| {
            done += 1;
            stop.send_replace(true);
            Next::Begin
        };
        run(counting(Arc::clone(&most)), 2, &stopped, tell).await;
        assert_eq!(done, 2);
    }
}

//! Clients that exist only in a list, for tests of faults.

use std::sync::Mutex;

use super::{Clients, Held, Inside};
use crate::Pending;

/// Clients that are all inside from the beginning.
#[derive(Debug, Default)]
pub(crate) struct FakeClients {
    pub(crate) inside: Mutex<Vec<Inside>>,
    held: Mutex<Vec<(u64, Inside)>>,
}

impl FakeClients {
    /// Who is stopped.
    pub(crate) fn held(&self) -> Vec<Inside> {
        let held = self.held.lock().unwrap();
        held.iter().map(|(_, inside)| inside.clone()).collect()
    }
}

impl Clients for FakeClients {
    fn inside(&self) -> Vec<Inside> {
        self.inside.lock().unwrap().clone()
    }

    fn hold<'a>(&'a self, token: u64, count: usize) -> Pending<'a, Vec<Inside>> {
        Box::pin(async move {
            let mut entering = self.inside();
            entering.truncate(count);
            let held = entering.iter().map(|inside| (token, inside.clone()));
            self.held.lock().unwrap().extend(held);
            if entering.len() < count {
                std::future::pending::<()>().await;
            }
            entering
        })
    }

    fn enough(&self, _: u64) -> Vec<Inside> {
        self.held()
    }

    fn release(&self, token: u64) -> Vec<Held> {
        let mut held = self.held.lock().unwrap();
        let released = held.extract_if(.., |(by, _)| *by == token);
        released
            .map(|(_, inside)| Held {
                inside,
                held_ms: 7,
                kept_from: Some("release".into()),
                kept_ms: 5,
            })
            .collect()
    }

    fn release_all(&self) {
        self.held.lock().unwrap().clear();
    }
}

//! An adapter as a client: what it does not answer, or not in time, nobody knows.

use std::sync::Arc;

use tribunal_results::{Operation, Outcome};

use super::message::{Ending, Request};
use super::pool::Pool;
use super::process::Adapter;
use crate::client::unknown;
use crate::{Client, Pending};

/// A client that is asked through an adapter.
pub(super) struct AdapterClient {
    /// There until this is dropped.
    adapter: Option<Adapter>,
    pool: Arc<Pool>,
    /// It has answered that it does not know: its connection must not be used again.
    is_lost: bool,
}

impl AdapterClient {
    pub(super) fn new(adapter: Adapter, pool: Arc<Pool>) -> Self {
        Self {
            adapter: Some(adapter),
            pool,
            is_lost: false,
        }
    }

    async fn perform(&mut self, operation: &Operation) -> Outcome {
        let Some(adapter) = &mut self.adapter else {
            return Outcome::Fail(tribunal_results::Reason::new("not-sent", "no adapter"));
        };
        match adapter.ask(&Request::invoke(operation)).await {
            Ok(answer) => {
                self.is_lost = answer.ending == Ending::Info;
                answer.outcome(operation)
            }
            Err(reason) => unknown(operation, reason),
        }
    }
}

impl Client for AdapterClient {
    fn invoke<'a>(&'a mut self, operation: &'a Operation) -> Pending<'a, Outcome> {
        Box::pin(self.perform(operation))
    }

    fn is_usable(&mut self) -> bool {
        !self.is_lost && self.adapter.as_ref().is_some_and(Adapter::is_usable)
    }
}

impl Drop for AdapterClient {
    fn drop(&mut self) {
        if let Some(adapter) = self.adapter.take() {
            self.pool.give_back(adapter);
        }
    }
}

//! Operations to messages, and answers to outcomes.

use std::time::Duration;

use serde_json::Value as Json;
use tribunal_results::{Answer, Operation, Outcome, Reason};

use crate::wire::error::outcome_of;
use crate::wire::{Body, Code, operation};

use super::unknown;

/// The request that asks for an operation. `timeout` is how long the client waits for the answer.
pub fn request(operation: &Operation, timeout: Duration) -> Body {
    let body = operation::request(operation);
    match operation {
        Operation::Acquire {
            ticket: Some(_), ..
        }
        | Operation::AcquirePermits { .. } => body.with("wait_ms", wait_ms(timeout)),
        _ => body,
    }
}

/// The field of requests and replies in which a session carries from node to node what it has
/// seen. Nodes write it and read it; clients only bring it along.
pub const CONTEXT: &str = "context";

/// The same request by a session that was told `context` last.
pub fn in_context(request: Body, context: Option<&Json>) -> Body {
    match context {
        Some(context) => request.with(CONTEXT, context.clone()),
        None => request,
    }
}

/// How long the node may let an acquire wait: clearly shorter than the client itself waits, so
/// that the definite answer at the wait's end still arrives.
fn wait_ms(timeout: Duration) -> Json {
    let wait = timeout.mul_f64(0.6).as_millis();
    Json::from(u64::try_from(wait).unwrap_or(u64::MAX))
}

/// How the operation ended, by the answer to its request.
pub fn outcome(operation: &Operation, answer: &Body) -> Outcome {
    if answer.kind() == "error" {
        return error_outcome(operation, answer);
    }
    match operation::answer(operation, answer) {
        Ok(answer) => Outcome::Ok(answer),
        Err(text) => unknown(operation, Reason::new("bad-answer", text)),
    }
}

fn error_outcome(operation: &Operation, answer: &Body) -> Outcome {
    let absent = answer.field::<u64>("code") == Ok(Code::KeyDoesNotExist.number());
    match (operation, outcome_of(answer)) {
        (Operation::Read { .. }, _) if absent => Outcome::Ok(Answer::Value(None)),
        (_, Outcome::Info(reason)) => unknown(operation, reason),
        (_, decided) => decided,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tribunal_results::Grant;

    use crate::wire::WireError;

    fn read() -> Operation {
        Operation::Read { key: 1.into() }
    }

    fn acquire() -> Operation {
        Operation::Acquire {
            lock: "a".into(),
            ticket: Some(3),
        }
    }

    #[test]
    fn an_acquire_waits_at_the_node_for_less_than_at_the_client() {
        let body = request(&acquire(), Duration::from_secs(1));
        assert_eq!(body.field::<u64>("wait_ms").unwrap(), 600);
    }

    #[test]
    fn a_read_of_a_missing_key_is_ok_and_absent() {
        let missing = WireError::new(Code::KeyDoesNotExist, "").body();
        assert_eq!(outcome(&read(), &missing), Outcome::Ok(Answer::Value(None)));
        let cas = Operation::Cas {
            key: 1.into(),
            from: 1.into(),
            to: 2.into(),
        };
        assert!(
            matches!(outcome(&cas, &missing), Outcome::Fail(r) if r.code == "key-does-not-exist")
        );
    }

    #[test]
    fn an_unknown_end_is_info_for_what_changes_something_and_fail_for_reads() {
        for body in [
            WireError::new(Code::Crash, "").body(),
            Body::new("something_else"),
            Body::new("acquire_ok").with("token", 1),
        ] {
            assert!(
                matches!(outcome(&acquire(), &body), Outcome::Info(_)),
                "{body:?}"
            );
            assert!(
                matches!(outcome(&read(), &body), Outcome::Fail(_)),
                "{body:?}"
            );
        }
    }

    #[test]
    fn a_grant_carries_token_and_lease() {
        let body = Body::new("acquire_ok")
            .with("token", 7)
            .with("lease_ms", 1500);
        let grant = Grant {
            token: 7,
            lease_ms: 1500,
        };
        assert_eq!(
            outcome(&acquire(), &body),
            Outcome::Ok(Answer::Grant(grant))
        );
    }
}

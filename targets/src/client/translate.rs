//! Operations to messages, and answers to outcomes.

use std::time::Duration;

use serde_json::{Value as Json, json};
use tribunal_results::{Answer, Grant, Operation, Outcome, Reason, Scalar};

use crate::wire::error::outcome_of;
use crate::wire::{Body, Code};

use super::unknown;

/// The request that asks for an operation; `None` for operations that the protocol doesn't have.
/// `timeout` is how long the client waits for the answer.
pub fn request(operation: &Operation, timeout: Duration) -> Option<Body> {
    Some(match operation {
        Operation::Read { key } => Body::new("read").with("key", json!(key)),
        Operation::Write { key, value } => Body::new("write")
            .with("key", json!(key))
            .with("value", json!(value)),
        Operation::Cas { key, from, to } => Body::new("cas")
            .with("key", json!(key))
            .with("from", json!(from))
            .with("to", json!(to)),
        Operation::Request { lock } => on_lock("request", lock),
        Operation::Acquire {
            lock,
            ticket: Some(ticket),
        } => on_lock("acquire", lock)
            .with("ticket", *ticket)
            .with("wait_ms", wait_ms(timeout)),
        Operation::Acquire { lock, ticket: None } => on_lock("acquire", lock),
        Operation::TryAcquire { lock } => on_lock("try_acquire", lock),
        Operation::Renew { lock, token } => on_lock("renew", lock).with("token", *token),
        Operation::Release { lock, token } => on_lock("release", lock).with("token", *token),
        Operation::GuardedWrite { key, value, token } => Body::new("guarded_write")
            .with("key", json!(key))
            .with("value", json!(value))
            .with("token", *token),
        _ => return None,
    })
}

fn on_lock(kind: &str, lock: &Scalar) -> Body {
    Body::new(kind).with("lock", json!(lock))
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
    match answer_of(operation, answer) {
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

fn answer_of(operation: &Operation, answer: &Body) -> Result<Answer, String> {
    let wrong = |e: crate::wire::WireError| e.text;
    let (expected, read): (_, fn(&Body) -> Result<Answer, _>) = match operation {
        Operation::Read { .. } => ("read_ok", |a| a.field("value").map(Answer::Value)),
        Operation::Write { .. } => ("write_ok", |_| Ok(Answer::Done)),
        Operation::Cas { .. } => ("cas_ok", |_| Ok(Answer::Done)),
        Operation::Request { .. } => ("request_ok", |a| a.field("ticket").map(Answer::Ticket)),
        Operation::Acquire { .. } => ("acquire_ok", grant),
        Operation::TryAcquire { .. } => ("try_acquire_ok", grant),
        Operation::Renew { .. } => ("renew_ok", grant),
        Operation::Release { .. } => ("release_ok", |_| Ok(Answer::Done)),
        Operation::GuardedWrite { .. } => ("guarded_write_ok", |_| Ok(Answer::Done)),
        _ => return Err("no answer was expected".to_owned()),
    };
    if answer.kind() != expected {
        return Err(format!("a {:?} instead of {expected:?}", answer.kind()));
    }
    read(answer).map_err(wrong)
}

fn grant(answer: &Body) -> Result<Answer, crate::wire::WireError> {
    Ok(Answer::Grant(Grant {
        token: answer.field("token")?,
        lease_ms: answer.field("lease_ms")?,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
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
        let body = request(&acquire(), Duration::from_secs(1)).unwrap();
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

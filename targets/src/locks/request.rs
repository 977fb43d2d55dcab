//! What clients ask of a lock.

use tribunal_results::Scalar;

use crate::node::{MILLISECOND, Nanos};
use crate::wire::{Body, WireError};

/// How long an acquire waits if it doesn't say.
const WAIT_MS_DEFAULT: u64 = 1_000;
/// No acquire waits longer, whatever it says.
const WAIT_MS_MAX: u64 = 60_000;

/// A request, taken apart.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Request {
    /// Something about one lock.
    Lock(Scalar, Action),
    /// A write to a resource that checks fencing tokens.
    GuardedWrite { key: Scalar, token: u64 },
}

/// What to do with a lock.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Action {
    Request,
    Acquire { ticket: u64, wait: Nanos },
    Enter,
    TryAcquire,
    Renew { token: u64 },
    Release { token: u64 },
}

impl Request {
    pub(crate) fn parse(body: &Body) -> Result<Self, WireError> {
        let action = match body.kind() {
            "request" => Action::Request,
            "acquire" => match body.field("ticket")? {
                Some(ticket) => Action::Acquire {
                    ticket,
                    wait: wait_of(body)?,
                },
                None => Action::Enter,
            },
            "try_acquire" => Action::TryAcquire,
            "renew" => Action::Renew {
                token: body.field("token")?,
            },
            "release" => Action::Release {
                token: body.field("token")?,
            },
            "guarded_write" => {
                // The value must be there, but nobody reads it back: the token is what matters.
                body.field::<Scalar>("value")?;
                return Ok(Self::GuardedWrite {
                    key: body.field("key")?,
                    token: body.field("token")?,
                });
            }
            kind => return Err(WireError::not_supported(kind)),
        };
        Ok(Self::Lock(body.field("lock")?, action))
    }
}

impl Request {
    /// A request about one lock that may be queued, and is not refused because it would be.
    ///
    /// # Errors
    /// It is malformed, or of another kind.
    pub(crate) fn of_queued(body: &Body) -> Result<(Scalar, Action), WireError> {
        match Self::parse(body)? {
            Self::Lock(lock, action) if action != Action::TryAcquire => Ok((lock, action)),
            _ => Err(WireError::not_supported(body.kind())),
        }
    }
}

fn wait_of(body: &Body) -> Result<Nanos, WireError> {
    let wait_ms: Option<u64> = body.field("wait_ms")?;
    Ok(wait_ms.unwrap_or(WAIT_MS_DEFAULT).min(WAIT_MS_MAX) * MILLISECOND)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Code;

    #[test]
    fn an_acquire_without_a_ticket_enters_again() {
        let body = Body::new("acquire").with("lock", "a");
        let expected = Request::Lock("a".into(), Action::Enter);
        assert_eq!(Request::parse(&body), Ok(expected));
    }

    #[test]
    fn a_wait_is_never_longer_than_the_longest() {
        let body = Body::new("acquire")
            .with("lock", "a")
            .with("ticket", 1)
            .with("wait_ms", u64::MAX);
        let wait = WAIT_MS_MAX * MILLISECOND;
        let expected = Request::Lock("a".into(), Action::Acquire { ticket: 1, wait });
        assert_eq!(Request::parse(&body), Ok(expected));
    }

    #[test]
    fn wrong_fields_are_malformed_and_wrong_types_not_supported() {
        let code = |body: Body| Request::parse(&body).unwrap_err().code;
        assert_eq!(code(Body::new("dance")), Code::NotSupported);
        assert_eq!(code(Body::new("request")), Code::MalformedRequest);
        assert_eq!(
            code(Body::new("request").with("lock", 1.5)),
            Code::MalformedRequest
        );
        let negative = Body::new("release").with("lock", "a").with("token", -1);
        assert_eq!(code(negative), Code::MalformedRequest);
        let no_value = Body::new("guarded_write").with("key", "a").with("token", 1);
        assert_eq!(code(no_value), Code::MalformedRequest);
    }
}

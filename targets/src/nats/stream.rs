//! JetStream: streams, one for each set, and what is said of them.
//!
//! What a stream holds is read from its leader, message by message, as its whole; whether that
//! leader still leads is not asked of the others.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value as Json, json};
use tribunal_results::{Reason, Scalar};

use super::connection::{Connection, Failure};

/// How many messages are asked for at once.
const AT_ONCE: u64 = 256;
/// Errors that a publisher is told before anything is stored: JetStream is not enabled for the
/// account, or at all, or the message is too long. Of others it may also be told afterwards.
const DEFINITE: [u64; 3] = [10_039, 10_076, 10_054];
/// There is no such stream.
const NO_STREAM: u64 = 10_059;
/// There is no such message in the stream.
const NO_MESSAGE: u64 = 10_037;

/// A stream, by what it holds: its name, and the subject whose messages it keeps.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stream {
    name: String,
    subject: String,
}

/// What an answer of JetStream says.
enum Said {
    Done(Json),
    /// With that code of JetStream's, 0 if it has none.
    Error(u64, Reason),
}

impl Said {
    fn of(answer: &[u8]) -> Result<Self, Failure> {
        let bad = || Failure::bad_answer(&String::from_utf8_lossy(answer));
        let said: Json = serde_json::from_slice(answer).map_err(|_| bad())?;
        let Some(error) = said.get("error") else {
            return said.is_object().then_some(Self::Done(said)).ok_or_else(bad);
        };
        let code = error.get("err_code").and_then(Json::as_u64);
        let code = code.unwrap_or_default();
        let reason = Reason::new(format!("jetstream-{code}"), error.to_string());
        Ok(Self::Error(code, reason))
    }
}

impl Stream {
    /// Of the set with that key: its name in letters that names and subjects may have.
    pub(super) fn of(key: &Scalar) -> Self {
        let key = URL_SAFE_NO_PAD.encode(stored(key));
        Self {
            name: format!("set_{key}"),
            subject: format!("set.{key}"),
        }
    }

    /// Sees to it that it exists, as one that keeps all on so many nodes. That changes nothing if it
    /// does already.
    ///
    /// # Errors
    /// Why it may not exist. No message was sent to it.
    pub(super) async fn create(
        &self,
        connection: &mut Connection,
        replicas: usize,
    ) -> Result<(), Reason> {
        let wanted = json!({
            "name": self.name,
            "subjects": [self.subject],
            "num_replicas": replicas,
            "storage": "file",
            "retention": "limits",
        });
        let wanted = wanted.to_string();
        let subject = format!("$JS.API.STREAM.CREATE.{}", self.name);
        let asked = connection.ask(&subject, wanted.as_bytes());
        let answer = asked.await.map_err(Failure::reason)?;
        match Said::of(&answer).map_err(Failure::reason)? {
            Said::Done(said) if said.get("config").is_some() => Ok(()),
            Said::Done(said) => Err(Failure::bad_answer(&said).reason()),
            Said::Error(_, reason) => Err(reason),
        }
    }

    /// Publishes a value to it, and waits until it says that it has it.
    ///
    /// # Errors
    /// Why it may not have it.
    pub(super) async fn publish(
        &self,
        connection: &mut Connection,
        value: &Scalar,
    ) -> Result<(), Failure> {
        let answer = connection.ask(&self.subject, &stored(value)).await?;
        match Said::of(&answer)? {
            Said::Done(said) => {
                let is_here = said.get("stream").and_then(Json::as_str) == Some(&self.name);
                let place = said.get("seq").and_then(Json::as_u64);
                let is_stored = is_here && place.is_some_and(|place| place > 0);
                is_stored
                    .then_some(())
                    .ok_or_else(|| Failure::bad_answer(&said))
            }
            Said::Error(code, reason) if DEFINITE.contains(&code) => Err(Failure::Refused(reason)),
            Said::Error(_, reason) => Err(Failure::Unknown(reason)),
        }
    }

    /// All that it holds; nothing if there is no such stream.
    ///
    /// # Errors
    /// Why that is not known.
    pub(super) async fn values(&self, connection: &mut Connection) -> Result<Vec<Scalar>, Failure> {
        let state = match info(connection, &self.name).await? {
            Said::Done(said) if !is_led(&said) => {
                let text = "nobody leads the stream: whoever answered does not know what it holds";
                return Err(Failure::Unknown(Reason::new("no-leader", text)));
            }
            Said::Done(said) => State::of(&said).ok_or_else(|| Failure::bad_answer(&said))?,
            Said::Error(NO_STREAM, _) => return Ok(Vec::new()),
            Said::Error(_, reason) => return Err(Failure::Unknown(reason)),
        };
        let mut values = Vec::new();
        let mut next = state.first;
        while state.count > 0 && next <= state.last {
            let end = (next + AT_ONCE).min(state.last + 1);
            values.extend(self.some(connection, next..end).await?);
            next = end;
        }
        match values.len() as u64 == state.count {
            true => Ok(values),
            false => {
                let text = format!("{} of {} messages were found", values.len(), state.count);
                Err(Failure::Unknown(Reason::new("not-whole", text)))
            }
        }
    }

    /// Those of the messages at these places that exist.
    async fn some(
        &self,
        connection: &mut Connection,
        places: std::ops::Range<u64>,
    ) -> Result<Vec<Scalar>, Failure> {
        let asked = places.clone().map(|seq| json!({ "seq": seq }).to_string());
        let asked: Vec<_> = asked.map(String::into_bytes).collect();
        let subject = format!("$JS.API.STREAM.MSG.GET.{}", self.name);
        let answers = connection.ask_all(&subject, &asked).await?;
        let mut values = Vec::new();
        for (answer, place) in answers.iter().zip(places) {
            match Said::of(answer)? {
                Said::Done(said) => {
                    let value = value(&said, place).ok_or_else(|| Failure::bad_answer(&said))?;
                    values.push(value);
                }
                Said::Error(NO_MESSAGE, _) => {}
                Said::Error(_, reason) => return Err(Failure::Unknown(reason)),
            }
        }
        Ok(values)
    }
}

/// What is said of a stream: by its leader, or by the leader of all if it has none.
async fn info(connection: &mut Connection, name: &str) -> Result<Said, Failure> {
    let subject = format!("$JS.API.STREAM.INFO.{name}");
    Said::of(&connection.ask(&subject, b"").await?)
}

/// Whether what is said of a stream is said by its leader. If it has none, the leader of all answers
/// that it holds nothing, though it does.
fn is_led(said: &Json) -> bool {
    let Some(cluster) = said.get("cluster") else {
        return true;
    };
    let leader = cluster.get("leader").and_then(Json::as_str);
    leader.is_some_and(|name| !name.is_empty())
}

/// The first of those streams that nobody leads, if there is one.
///
/// # Errors
/// Why that is not known.
pub(super) async fn leaderless<'a>(
    connection: &mut Connection,
    names: &[&'a str],
) -> Result<Option<&'a str>, Reason> {
    for name in names {
        match info(connection, name).await.map_err(Failure::reason)? {
            Said::Done(said) if is_led(&said) => {}
            Said::Done(_) => return Ok(Some(name)),
            Said::Error(_, reason) => return Err(reason),
        }
    }
    Ok(None)
}

/// What a stream holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State {
    first: u64,
    last: u64,
    count: u64,
}

impl State {
    fn of(said: &Json) -> Option<Self> {
        let field = |name| said.get("state")?.get(name)?.as_u64();
        let state = Self {
            first: field("first_seq")?,
            last: field("last_seq")?,
            count: field("messages")?,
        };
        let places = (state.last + 1).saturating_sub(state.first);
        (state.count <= places).then_some(state)
    }
}

/// The value in an answer about the message at that place.
fn value(said: &Json, place: u64) -> Option<Scalar> {
    let message = said.get("message")?;
    let is_there = message.get("seq")?.as_u64() == Some(place);
    let bytes = STANDARD.decode(message.get("data")?.as_str()?).ok()?;
    is_there.then(|| serde_json::from_slice(&bytes).ok())?
}

/// A value as it is stored: as JSON, so that 1 and "1" stay apart.
fn stored(value: &Scalar) -> Vec<u8> {
    // A scalar has no form that JSON lacks.
    serde_json::to_vec(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_have_streams_of_their_own_whatever_their_keys_are() {
        let keys: [Scalar; 5] = [
            1.into(),
            "1".into(),
            "a.b >*".into(),
            "".into(),
            "ü/".into(),
        ];
        let streams: std::collections::BTreeSet<_> = keys.iter().map(Stream::of).collect();
        assert_eq!(streams.len(), keys.len());
        for stream in streams {
            let is_fine = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
            assert!(stream.subject.chars().all(is_fine), "{stream:?}");
            assert!(!stream.name.contains('.'), "{stream:?}");
        }
    }

    #[test]
    fn a_stream_that_says_that_it_holds_more_than_it_can_is_not_believed() {
        let state = |first: u64, last: u64, messages: u64| {
            let state = json!({ "first_seq": first, "last_seq": last, "messages": messages });
            State::of(&json!({ "state": state }))
        };
        assert!(state(0, 0, 0).is_some());
        assert!(state(1, 3, 3).is_some());
        assert!(state(5, 9, 2).is_some());
        assert!(state(8, 7, 0).is_some());
        assert_eq!(state(1, 3, 4), None);
        assert_eq!(State::of(&json!({})), None);
    }

    #[test]
    fn a_message_is_of_the_place_that_was_asked_for() {
        let said = json!({ "message": { "seq": 3, "data": "NQ==" } });
        assert_eq!(value(&said, 3), Some(5.into()));
        assert_eq!(value(&said, 4), None);
        let said = json!({ "message": { "seq": 3, "data": "?" } });
        assert_eq!(value(&said, 3), None);
    }
}

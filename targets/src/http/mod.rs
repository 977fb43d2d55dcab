//! An HTTP client that a suite describes: for each operation a request, and what its answer means.
//!
//! | module | what it does |
//! |---|---|
//! | [`fill`] | requests with variables |
//! | `client` | asks what the suite says (feature `http`) |
//! | `connection` | one connection (feature `http`) |

#[cfg(feature = "http")]
mod client;
#[cfg(feature = "http")]
pub(crate) mod connection;
pub mod fill;

use std::collections::BTreeMap;

use serde::Deserialize;
use tribunal_results::Kind;
use tribunal_results::options::OptionError;

#[cfg(feature = "http")]
pub use client::open;

/// The methods that suites can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[expect(missing_docs, reason = "each is the method of its name")]
pub enum Method {
    Get,
    Put,
    Post,
    Patch,
    Delete,
    Head,
}

impl Method {
    /// As it is sent.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Put => "PUT",
            Self::Post => "POST",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
            Self::Head => "HEAD",
        }
    }
}

/// How one operation is asked for, and what the answer means.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// The method.
    pub method: Method,
    /// Path and query, with variables.
    pub path: String,
    /// The body, with variables; none if absent.
    #[serde(default)]
    pub body: Option<String>,
    /// Statuses that mean that it was done.
    #[serde(default = "done")]
    pub ok: Vec<u16>,
    /// Statuses that mean that it was done, and there was nothing: the answer's value is null.
    #[serde(default)]
    pub absent: Vec<u16>,
    /// Statuses that mean that it definitely had no effect. All that is in no list is unknown.
    #[serde(default)]
    pub fail: Vec<u16>,
    /// Where in the answer's body the value is, as a JSON pointer; `""` is the whole body. No
    /// value if absent.
    #[serde(default)]
    pub value: Option<String>,
}

fn done() -> Vec<u16> {
    vec![200, 201, 204]
}

/// What a suite says of a system's HTTP interface.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Api {
    /// Headers of every request.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// What is sent for each operation, by the names of their kinds.
    pub operations: BTreeMap<String, Call>,
}

impl Api {
    /// The operations that it describes.
    pub fn kinds(&self) -> Vec<Kind> {
        let names = self.operations.keys();
        names.filter_map(|name| Kind::from_name(name)).collect()
    }

    /// Whether it makes sense, and this build can do it.
    ///
    /// # Errors
    /// The path and nature of the first that does not.
    pub fn check(&self) -> Result<(), OptionError> {
        if !cfg!(feature = "http") {
            let message = "this build has no HTTP client; build with the feature `http`";
            return Err(OptionError::new("", message));
        }
        if self.operations.is_empty() {
            return Err(OptionError::new("operations", "no operation is described"));
        }
        for (kind, call) in &self.operations {
            if Kind::from_name(kind).is_none() {
                let known = Kind::ALL.map(Kind::name).join(", ");
                let message = format!("there is no operation `{kind}`; there are: {known}");
                return Err(OptionError::new(format!("operations.{kind}"), message));
            }
            let at = |field: &str| format!("operations.{kind}.{field}");
            let refuse = |field: &str, why: String| OptionError::new(at(field), why);
            fill::check(&call.path).map_err(|why| refuse("path", why))?;
            if !call.path.starts_with('/') {
                return Err(refuse("path", "a path begins with /".into()));
            }
            fill::check(call.body.as_deref().unwrap_or_default())
                .map_err(|why| refuse("body", why))?;
            let pointer = call.value.as_deref().unwrap_or_default();
            if !pointer.is_empty() && !pointer.starts_with('/') {
                let why = "a JSON pointer begins with /, such as /kv/value, or is \"\"";
                return Err(refuse("value", why.into()));
            }
            if let Some(status) = call.fail.iter().find(|s| call.ok.contains(s)) {
                return Err(refuse(
                    "fail",
                    format!("{status} can't mean both ok and fail"),
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[cfg(feature = "http")]
mod tests {
    use super::*;
    use serde_json::{Value as Json, json};
    use tribunal_results::options::decode;
    use tribunal_results::{Answer, Operation, Outcome};

    fn call(more: Json) -> Call {
        let mut call = json!({ "method": "GET", "path": "/{{key}}" });
        if let (Some(call), Some(more)) = (call.as_object_mut(), more.as_object()) {
            call.extend(more.clone());
        }
        decode(&call).unwrap()
    }

    fn read() -> Operation {
        Operation::Read { key: "k1".into() }
    }

    fn write() -> Operation {
        Operation::Write {
            key: "k1".into(),
            value: 5.into(),
        }
    }

    #[test]
    fn statuses_and_bodies_mean_what_the_suite_says() {
        let get = call(json!({ "absent": [404], "value": "/v" }));
        let five = Outcome::Ok(Answer::Value(Some(5.into())));
        assert_eq!(get.outcome(&read(), 200, br#"{"v":5}"#), five);
        assert_eq!(
            get.outcome(&read(), 404, b"no"),
            Outcome::Ok(Answer::Value(None))
        );
        let whole = call(json!({ "value": "" }));
        assert_eq!(whole.outcome(&read(), 200, b"5"), five);
        let text = Outcome::Ok(Answer::Value(Some("x y".into())));
        assert_eq!(whole.outcome(&read(), 200, b"x y\n"), text);
        let put = call(json!({ "fail": [409] }));
        assert_eq!(put.outcome(&write(), 204, b""), Outcome::Ok(Answer::Done));
        assert!(
            matches!(put.outcome(&write(), 409, b"no"), Outcome::Fail(r) if r.code == "status-409")
        );
    }

    #[test]
    fn what_the_suite_does_not_say_is_unknown_of_a_write() {
        let put = call(json!({}));
        for status in [500, 503, 404, 302] {
            assert!(
                matches!(put.outcome(&write(), status, b""), Outcome::Info(_)),
                "{status}"
            );
        }
        let get = call(json!({ "value": "/v" }));
        assert!(
            matches!(get.outcome(&read(), 200, b"{}"), Outcome::Fail(r) if r.code == "bad-answer")
        );
    }

    #[test]
    fn mistakes_are_told_at_their_place() {
        let check = |call: Json| {
            let api: Api = decode(&json!({ "operations": { "read": call } }))?;
            api.check()
        };
        let good = json!({ "method": "GET", "path": "/{{key}}", "value": "" });
        assert_eq!(check(good.clone()), Ok(()));
        for (field, value, path) in [
            ("path", json!("{{key}}"), "operations.read.path"),
            ("path", json!("/{{kee}}"), "operations.read.path"),
            ("body", json!("{{"), "operations.read.body"),
            ("value", json!("v"), "operations.read.value"),
            ("fail", json!([200]), "operations.read.fail"),
            ("method", json!("FETCH"), "operations.read.method"),
        ] {
            let mut call = good.clone();
            call[field] = value;
            assert_eq!(check(call).unwrap_err().path, path);
        }
        assert!(
            decode::<Api>(&json!({ "operations": {} }))
                .unwrap()
                .check()
                .is_err()
        );
    }
}

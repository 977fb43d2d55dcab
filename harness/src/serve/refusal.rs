//! What cannot be shown, and why.

use askama::Template;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

/// Why there is no page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// There is no such thing.
    Missing(String),
    /// The request makes no sense.
    Wrong(String),
    /// Too much is asked at once.
    Busy(String),
    /// A file cannot be read, or a page not be drawn.
    Failed(String),
}

#[derive(Template)]
#[template(path = "serve/refusal.html")]
struct Page {
    title: &'static str,
    why: String,
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, title, why) = match self {
            Self::Missing(why) => (StatusCode::NOT_FOUND, "Not found", why),
            Self::Wrong(why) => (StatusCode::BAD_REQUEST, "Not understood", why),
            Self::Busy(why) => (StatusCode::SERVICE_UNAVAILABLE, "Too much at once", why),
            Self::Failed(why) => (StatusCode::INTERNAL_SERVER_ERROR, "Cannot be shown", why),
        };
        match super::html(&Page { title, why }) {
            Ok(page) => (status, page).into_response(),
            Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, title).into_response(),
        }
    }
}

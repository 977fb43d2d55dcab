//! Who is answered, and what pages may do.
//!
//! The socket is bound to loopback, but any web page can make its reader's browser send requests
//! there: by a name of its own that is made to lead to 127.0.0.1 (DNS rebinding) it could even
//! read the answers. So only requests are answered that name this machine as their host.

use std::net::IpAddr;

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// What our own pages may load: styles, scripts and data from here, nothing else from anywhere.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; \
     connect-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Refuses other hosts and methods, and adds the headers that bind pages.
pub(super) async fn guard(request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST);
    if !host.and_then(|h| h.to_str().ok()).is_some_and(is_loopback) {
        let why = "refused: the request names another host; open http://127.0.0.1 or \
                   http://localhost with the port\n";
        return (StatusCode::MISDIRECTED_REQUEST, why).into_response();
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let why = "refused: pages are only read\n";
        return (StatusCode::METHOD_NOT_ALLOWED, why).into_response();
    }
    let mut response = next.run(request).await;
    bind(response.headers_mut());
    response
}

fn bind(headers: &mut HeaderMap) {
    let policy = HeaderValue::from_static(POLICY);
    headers
        .entry(header::CONTENT_SECURITY_POLICY)
        .or_insert(policy);
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

/// Whether a `Host` header names this machine: `localhost` or a loopback address, with or without
/// a port.
fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::is_loopback;

    #[test]
    fn only_names_of_this_machine_are_answered() {
        for host in [
            "localhost",
            "LOCALHOST:80",
            "127.0.0.1",
            "127.8.9.1:8642",
            "[::1]:8642",
        ] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example:80",
            "10.0.0.1",
            "[fe80::1]",
            "0.0.0.0",
            "2130706433",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}

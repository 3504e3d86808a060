//! What stands around every call of the people's listener: origin checks and headers.
//!
//! A page of another origin must not act in a signed-in person's name. The cookie's SameSite is the
//! first lock; here is the second: an unsafe call whose browser says that it comes from elsewhere
//! is refused. A call that carries a token is exempt, since a page cannot make a browser send one.

use akwatch_proto::agent::RefusalCode;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use crate::refusal::Refusal;

/// Refuses unsafe calls from other origins.
pub async fn same_origin(request: Request, next: Next) -> Response {
    let safe = matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS
    );
    let token = request.headers().contains_key(header::AUTHORIZATION);
    if !safe && !token && !from_here(request.headers()) {
        return Refusal::new(
            RefusalCode::Forbidden,
            "This call came from a page of another origin.",
        )
        .hint("Call from the console itself, or with an API token.")
        .into_response();
    }
    next.run(request).await
}

fn from_here(headers: &HeaderMap) -> bool {
    let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let site = text(HeaderName::from_static("sec-fetch-site"));
    if site.is_some_and(|site| site != "same-origin" && site != "none") {
        return false;
    }
    match (text(header::ORIGIN), text(header::HOST)) {
        (None, _) => true,
        (Some(origin), Some(host)) => origin.strip_prefix("https://") == Some(host),
        (Some(_), None) => false,
    }
}

/// Headers that every answer carries, and those of an API answer.
pub async fn headers(request: Request, next: Next) -> Response {
    let api = request.uri().path().starts_with("/api/");
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let mut set = |name: &'static str, value: &'static str| {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    };
    set("x-content-type-options", "nosniff");
    set("referrer-policy", "no-referrer");
    set("x-frame-options", "DENY");
    set("cross-origin-opener-policy", "same-origin");
    set("cross-origin-resource-policy", "same-origin");
    set(
        "permissions-policy",
        "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    );
    set(
        "content-security-policy",
        "default-src 'none'; frame-ancestors 'none'",
    );
    if api {
        set("cache-control", "no-store");
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pairs: &[(&'static str, &str)], allowed: bool) {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.insert(*name, value.parse().unwrap());
        }
        assert_eq!(from_here(&headers), allowed, "{pairs:?}");
    }

    #[test]
    fn another_origin_is_not_here() {
        check(&[("host", "a:1")], true);
        check(
            &[
                ("host", "a:1"),
                ("origin", "https://a:1"),
                ("sec-fetch-site", "same-origin"),
            ],
            true,
        );
        check(&[("host", "a:1"), ("sec-fetch-site", "cross-site")], false);
        check(&[("host", "a:1"), ("sec-fetch-site", "same-site")], false);
        check(&[("host", "a:1"), ("origin", "https://b:1")], false);
        check(&[("host", "a:1"), ("origin", "https://a:2")], false);
        check(&[("host", "a:1"), ("origin", "http://a:1")], false);
        check(&[("host", "a:1"), ("origin", "null")], false);
        check(&[("origin", "https://a:1")], false);
    }
}

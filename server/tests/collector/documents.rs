//! The committed OpenAPI documents say what the handlers say.

use akwatch_server::{agents, document, people};

#[track_caller]
fn check(listener: &str, document: &utoipa::openapi::OpenApi) {
    let path = format!(
        "{}/../docs/openapi/{listener}.json",
        env!("CARGO_MANIFEST_DIR")
    );
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == document::text(document),
        "docs/openapi/{listener}.json is out of date: run `cargo run -p akwatch-server -- openapi \
         {listener} > docs/openapi/{listener}.json`"
    );
}

#[test]
fn the_agents_document_is_current() {
    check("agents", &agents::document());
}

#[test]
fn the_peoples_document_is_current() {
    check("people", &people::document());
}

//! The one way to a handler for a known host: its certificate, verified by TLS and by the domain.

use akwatch_proto::agent::RefusalCode;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::collector::{self, Collector};
use crate::domain::speaker::Speaker;
use crate::listen::Peer;
use crate::refusal::Refusal;

impl FromRequestParts<Collector> for Speaker {
    type Rejection = Refusal;

    async fn from_request_parts(
        parts: &mut Parts,
        collector: &Collector,
    ) -> Result<Speaker, Refusal> {
        let peer = parts.extensions.get::<Peer>().cloned();
        let Some((peer, certificate)) = peer.and_then(|peer| {
            peer.certificate
                .clone()
                .map(|certificate| (peer, certificate))
        }) else {
            return Err(Refusal::new(
                RefusalCode::Unauthenticated,
                "This call needs the certificate that the host got when it was enrolled.",
            )
            .hint("Enroll the host, or renew its certificate if it has expired."));
        };
        let now = collector::now();
        if certificate.not_after < now {
            return Err(Refusal::new(
                RefusalCode::Unauthenticated,
                "The host's certificate has expired.",
            )
            .hint("Renew it: POST /v1/renew/challenge, then /v1/renew/expired."));
        }
        let address = peer.address.ip().to_string();
        collector.domain.speaker(&certificate, address, now).await
    }
}

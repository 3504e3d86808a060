//! The listeners' certificate: issued at start, replaced in place before it ends.
//!
//! Its key never touches the disk. The chain that it presents ends in the authority itself, so that
//! a host that knows only the authority's pin can find the authority in the handshake.

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, RwLock};

use akwatch_proto::time::Time;
use rcgen::SanType;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::authority::{Authority, AuthorityError, DAY_MS, SERVER_DAYS};

/// A name that cannot stand in a certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither a DNS name nor an address")]
pub struct InvalidName(pub String);

/// The certificate that both listeners present.
pub struct ServerCertificate {
    names: Vec<SanType>,
    current: RwLock<(Arc<CertifiedKey>, Time)>,
}

impl ServerCertificate {
    /// Issues the first certificate, for `names` and this machine's loopback names.
    ///
    /// # Errors
    /// When the authority cannot sign.
    pub fn issue(
        authority: &Authority,
        names: &[SanType],
        now: Time,
    ) -> Result<ServerCertificate, AuthorityError> {
        let current = RwLock::new(certified(authority, names, now)?);
        Ok(ServerCertificate {
            names: names.to_vec(),
            current,
        })
    }

    /// Replaces the certificate when less than half of its life is left, or more than all of it: the clock
    /// was set back, and no host would take one that has not begun. Says whether it did.
    ///
    /// # Errors
    /// When the authority cannot sign; the old certificate stays.
    pub fn refresh(&self, authority: &Authority, now: Time) -> Result<bool, AuthorityError> {
        let ends = self
            .current
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .1;
        let (left, life) = (ends.since(now), SERVER_DAYS * DAY_MS);
        if left > life / 2 && left <= life {
            return Ok(false);
        }
        let fresh = certified(authority, &self.names, now)?;
        *self
            .current
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = fresh;
        Ok(true)
    }
}

/// Reads the names for a listener's certificate; loopback is always among them.
///
/// # Errors
/// When one is neither a DNS name nor an address.
pub fn names(configured: &[String]) -> Result<Vec<SanType>, InvalidName> {
    let mut names = Vec::new();
    let loopback = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    for name in configured.iter().chain(&loopback) {
        let parsed = match name.parse::<IpAddr>() {
            Ok(address) => SanType::IpAddress(address),
            Err(_) if is_dns_name(name) => SanType::DnsName(
                name.clone()
                    .try_into()
                    .map_err(|_| InvalidName(name.clone()))?,
            ),
            Err(_) => return Err(InvalidName(name.clone())),
        };
        if !names.contains(&parsed) {
            names.push(parsed);
        }
    }
    Ok(names)
}

fn is_dns_name(name: &str) -> bool {
    name.len() <= 253
        && name.split('.').all(|label| {
            !label.is_empty()
                && label.len() <= 63
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        })
}

fn certified(
    authority: &Authority,
    names: &[SanType],
    now: Time,
) -> Result<(Arc<CertifiedKey>, Time), AuthorityError> {
    let (certificate, key, ends) = authority.issue_server(names, now)?;
    let key = any_supported_type(&key).expect("invariant: a P-256 key was just made");
    let chain = vec![certificate, authority.der().clone()];
    Ok((Arc::new(CertifiedKey::new(chain, key)), ends))
}

impl ResolvesServerCert for ServerCertificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let current = self
            .current
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        Some(Arc::clone(&current.0))
    }
}

impl fmt::Debug for ServerCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ServerCertificate(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_addresses_or_dns_names_with_loopback_always() {
        let names = names(&["collector.example".to_owned(), "10.0.0.7".to_owned()]).unwrap();
        assert_eq!(names.len(), 5);
        for bad in ["", "a..b", "-a.example", "a b", "*.example", "https://x"] {
            assert!(super::names(&[bad.to_owned()]).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_certificate_is_replaced_at_half_its_life() {
        let state = tempfile::tempdir().unwrap();
        let now = Time(1_800_000_000_000);
        let domain = akwatch_proto::agent::TrustDomain::parse("fleet.example").unwrap();
        let authority = Authority::open(state.path(), domain, now).unwrap();
        let names = names(&[]).unwrap();
        let certificate = ServerCertificate::issue(&authority, &names, now).unwrap();
        assert!(
            !certificate
                .refresh(&authority, now.plus(44 * DAY_MS))
                .unwrap()
        );
        assert!(
            certificate
                .refresh(&authority, now.plus(46 * DAY_MS))
                .unwrap()
        );
        assert!(
            !certificate
                .refresh(&authority, now.plus(46 * DAY_MS))
                .unwrap()
        );
    }

    #[test]
    fn a_certificate_that_has_not_begun_by_a_clock_that_was_set_back_is_replaced() {
        let state = tempfile::tempdir().unwrap();
        let now = Time(1_800_000_000_000);
        let domain = akwatch_proto::agent::TrustDomain::parse("fleet.example").unwrap();
        let authority = Authority::open(state.path(), domain, now).unwrap();
        let names = names(&[]).unwrap();
        let certificate = ServerCertificate::issue(&authority, &names, now).unwrap();
        let back = now.plus(-30 * DAY_MS);
        assert!(certificate.refresh(&authority, back).unwrap());
        assert!(!certificate.refresh(&authority, back).unwrap());
    }
}

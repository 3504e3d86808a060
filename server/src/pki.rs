//! Who may speak: the built-in authority, the certificates it issues, and the collector's own keys.
//!
//! The authority lives in the state directory (`ca.key`, mode 0600, and `ca.pem`) and is made once.
//! It signs server certificates for both listeners and, from a request whose names are all thrown
//! away, hosts' certificates whose one name is `spiffe://<trust domain>/host/<uuid>`. Nothing here
//! decides *whether* a host may have a certificate: that is enrollment, in the domain.

pub mod authority;
pub mod files;
pub mod keys;
pub mod peer;
pub mod server;

pub use authority::{Authority, AuthorityError, CsrError, HostCertificate};
pub use keys::{KeyError, Keys};
pub use peer::{CertificateFault, PeerCertificate};
pub use server::ServerCertificate;

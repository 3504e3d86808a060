//! Stands between an agent and its collector and keeps what they say, decrypted.
//!
//! The canary must read what the reporter really sends. The test owns both ends, so it can stand in
//! the middle honestly: towards the agent with a certificate that the collector's own authority
//! signs, towards the collector with the agent's own identity. Nothing in the shipped programs is
//! changed for it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result};
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, Issuer, KeyPair, SanType};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// A recorder on a port of its own.
#[derive(Debug)]
pub struct Recorder {
    /// Where the agent is to connect.
    pub url: String,
    recorded: Arc<Mutex<Vec<u8>>>,
}

/// Whose files the recorder borrows.
#[derive(Clone, Debug)]
pub struct Ends {
    /// The collector's agents' listener, `127.0.0.1:port`.
    pub collector: SocketAddr,
    /// The authority's certificate, PEM.
    pub authority: PathBuf,
    /// The authority's key, PEM.
    pub authority_key: PathBuf,
    /// The agent's identity directory; its key and certificate appear there at enrollment.
    pub identity: PathBuf,
}

impl Recorder {
    /// Starts recording.
    ///
    /// # Errors
    /// When the authority cannot be read or no port is free.
    pub async fn start(ends: Ends) -> Result<Recorder> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("https://{}", listener.local_addr()?);
        let acceptor = TlsAcceptor::from(Arc::new(server_side(&ends)?));
        let recorded = Arc::new(Mutex::new(Vec::new()));
        let tape = Arc::clone(&recorded);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (acceptor, ends, tape) = (acceptor.clone(), ends.clone(), Arc::clone(&tape));
                tokio::spawn(async move {
                    // A connection that fails is the agent's to try again.
                    let _ = relay(socket, acceptor, ends, tape).await;
                });
            }
        });
        Ok(Recorder { url, recorded })
    }

    /// Everything that was said so far, both ways.
    ///
    /// # Panics
    /// When a relaying task panicked while it held the tape.
    #[must_use]
    pub fn recorded(&self) -> Vec<u8> {
        self.recorded
            .lock()
            .expect("invariant: no relay panics")
            .clone()
    }
}

fn server_side(ends: &Ends) -> Result<ServerConfig> {
    let authority_pem = std::fs::read_to_string(&ends.authority)?;
    let key = KeyPair::from_pem(&std::fs::read_to_string(&ends.authority_key)?)?;
    let issuer = Issuer::from_ca_cert_pem(&authority_pem, key)?;
    let own = KeyPair::generate()?;
    let mut names = CertificateParams::new(vec!["localhost".to_owned()])?;
    names
        .subject_alt_names
        .push(SanType::IpAddress("127.0.0.1".parse()?));
    names.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let certificate = names.signed_by(&own, &issuer)?;
    let chain = vec![
        certificate.der().clone(),
        CertificateDer::from_pem_slice(authority_pem.as_bytes())?,
    ];
    let key = PrivateKeyDer::try_from(own.serialize_der()).map_err(anyhow::Error::msg)?;
    Ok(ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, key)?)
}

fn client_side(ends: &Ends) -> Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&ends.authority)?)?;
    let builder = ClientConfig::builder().with_root_certificates(roots);
    let certificate = ends.identity.join("cert.pem");
    if !certificate.exists() {
        return Ok(builder.with_no_client_auth());
    }
    let chain = CertificateDer::pem_file_iter(&certificate)?.collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_file(ends.identity.join("key.pem"))?;
    Ok(builder.with_client_auth_cert(chain, key)?)
}

async fn relay(
    socket: TcpStream,
    acceptor: TlsAcceptor,
    ends: Ends,
    tape: Arc<Mutex<Vec<u8>>>,
) -> Result<()> {
    let near = acceptor.accept(socket).await?;
    let connector = TlsConnector::from(Arc::new(client_side(&ends)?));
    let far = TcpStream::connect(ends.collector).await?;
    let name = ServerName::try_from("127.0.0.1").context("a name for loopback")?;
    let far = connector.connect(name, far).await?;
    let (near_read, near_write) = tokio::io::split(near);
    let (far_read, far_write) = tokio::io::split(far);
    tokio::try_join!(
        copy(near_read, far_write, Arc::clone(&tape)),
        copy(far_read, near_write, tape)
    )?;
    Ok(())
}

async fn copy(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    tape: Arc<Mutex<Vec<u8>>>,
) -> Result<()> {
    let mut said = Vec::new();
    let mut buffer = vec![0; 64 * 1024];
    let mut outcome = Ok(());
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        said.extend_from_slice(&buffer[..count]);
        keep(&tape, &buffer[..count]);
        if let Err(error) = to.write_all(&buffer[..count]).await {
            outcome = Err(error.into());
            break;
        }
        to.flush().await.ok();
    }
    // Once more in one stretch, so that a body that came in several reads is whole on the tape.
    keep(&tape, &said);
    to.shutdown().await.ok();
    outcome
}

fn keep(tape: &Mutex<Vec<u8>>, bytes: &[u8]) {
    tape.lock()
        .expect("invariant: no relay panics")
        .extend_from_slice(bytes);
}

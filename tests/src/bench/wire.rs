//! Counts what an agent and its collector say to each other: a forwarder of bytes between them.
//!
//! It sees what any router on the way would: TLS records, of which it can count no more than the
//! bytes. Handshakes, headers of HTTP and bodies are all in the figure.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What went through so far.
#[derive(Clone, Debug, Default)]
pub struct Counted {
    bytes: Arc<AtomicU64>,
    connections: Arc<AtomicU64>,
}

impl Counted {
    /// Bytes of both directions.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Connections that the agent made.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }
}

/// Forwards to the collector at `url` from a port of its own; the URL of that port, and the counts.
///
/// # Errors
/// When no port can be had or `url` names no address.
pub async fn forward(url: &str) -> Result<(String, Counted)> {
    let to: SocketAddr = url
        .trim_start_matches("https://")
        .parse()
        .with_context(|| format!("{url} names no address"))?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let own = format!("https://{}", listener.local_addr()?);
    let counted = Counted::default();
    let counts = counted.clone();
    tokio::spawn(async move {
        while let Ok((agent, _)) = listener.accept().await {
            counts.connections.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(between(agent, to, Arc::clone(&counts.bytes)));
        }
    });
    Ok((own, counted))
}

/// Carries one connection until either side ends it.
async fn between(agent: TcpStream, to: SocketAddr, bytes: Arc<AtomicU64>) {
    let Ok(collector) = TcpStream::connect(to).await else {
        return;
    };
    let (from_agent, to_agent) = agent.into_split();
    let (from_collector, to_collector) = collector.into_split();
    tokio::select! {
        () = carry(from_agent, to_collector, &bytes) => {}
        () = carry(from_collector, to_agent, &bytes) => {}
    }
}

async fn carry(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, sum: &AtomicU64) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        sum.fetch_add(read as u64, Ordering::Relaxed);
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}

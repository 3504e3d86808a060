//! The line between an agent and its collector, which a test cuts, stalls and mends.

use std::net::SocketAddr;

use anyhow::{Context as _, Result};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// How the line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Everything goes through.
    Whole,
    /// Connections are there, and nothing goes through.
    Stalled,
    /// What there is breaks, and nothing new is let through.
    Cut,
}

/// A forwarder to a collector.
#[derive(Debug)]
pub struct Line {
    /// Its address, as an agent is told.
    pub url: String,
    state: watch::Sender<State>,
}

impl Line {
    /// A whole line to the collector at `url`.
    ///
    /// # Errors
    /// When no port can be had or `url` names no address.
    pub async fn to(url: &str) -> Result<Line> {
        let to: SocketAddr = url
            .trim_start_matches("https://")
            .parse()
            .with_context(|| format!("{url} names no address"))?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let own = format!("https://{}", listener.local_addr()?);
        let (state, watched) = watch::channel(State::Whole);
        tokio::spawn(async move {
            while let Ok((agent, _)) = listener.accept().await {
                tokio::spawn(carry(agent, to, watched.clone()));
            }
        });
        Ok(Line { url: own, state })
    }

    /// Puts the line in a state.
    pub fn set(&self, state: State) {
        self.state.send_replace(state);
    }
}

/// Carries one connection until either side ends it or the line is cut.
async fn carry(mut agent: TcpStream, to: SocketAddr, mut state: watch::Receiver<State>) {
    if *state.borrow() == State::Cut {
        return;
    }
    let Ok(mut collector) = TcpStream::connect(to).await else {
        return;
    };
    let (mut up, mut down) = ([0; 16 * 1024], [0; 16 * 1024]);
    loop {
        let now = *state.borrow_and_update();
        let through = now == State::Whole;
        if now == State::Cut {
            return;
        }
        tokio::select! {
            read = agent.read(&mut up), if through => match read {
                Ok(length @ 1..) if collector.write_all(&up[..length]).await.is_ok() => {}
                _ => return,
            },
            read = collector.read(&mut down), if through => match read {
                Ok(length @ 1..) if agent.write_all(&down[..length]).await.is_ok() => {}
                _ => return,
            },
            changed = state.changed() => if changed.is_err() { return },
        }
    }
}

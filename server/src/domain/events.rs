//! What changed, as far as its listener may see it.

use akwatch_proto::agent::HostId;
use akwatch_proto::people::Event;
use akwatch_store::Scope;
use tokio::sync::broadcast;

use crate::domain::Domain;
use crate::domain::people::Asker;

/// The changes from some moment on.
pub struct Feed(broadcast::Receiver<Event>);

impl Domain {
    /// What changes from now on.
    #[must_use]
    pub fn feed(&self) -> Feed {
        Feed(self.store.subscribe())
    }

    /// The next change that the asker may see; none when there will be none.
    pub async fn next_event(&self, by: &Asker, feed: &mut Feed) -> Option<Event> {
        loop {
            let event = match feed.0.recv().await {
                Ok(event) => event,
                Err(broadcast::error::RecvError::Lagged(_)) => Event::Reload,
                Err(broadcast::error::RecvError::Closed) => return None,
            };
            if self.sees(by, &event).await {
                return Some(event);
            }
        }
    }

    async fn sees(&self, by: &Asker, event: &Event) -> bool {
        let host: HostId = match event {
            _ if *by.scope() == Scope::All => return true,
            Event::Findings { host, .. } | Event::Host { host } => *host,
            Event::Credential { credential } => {
                let seen = self.store.credential(by.scope(), credential).await;
                return matches!(seen, Ok(Some(_)));
            }
            Event::Reload => return true,
        };
        matches!(self.store.host(by.scope(), host).await, Ok(Some(_)))
    }
}

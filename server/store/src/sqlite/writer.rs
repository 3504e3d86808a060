//! The one writer: decisions wait in line and share a transaction.
//!
//! A decision runs in a savepoint, so that one that fails takes only itself back. Its answer and its
//! events go out after the commit. A caller that went away changes nothing: the decision was taken.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use akwatch_proto::people::Event;
use sqlx::Connection as _;
use sqlx::sqlite::SqliteConnection;
use tokio::sync::{mpsc, oneshot};

use super::{At as _, Shared};
use crate::StoreError;

/// Decisions that may wait. Stops: memory held by a fleet that reports faster than the disk; a
/// caller that finds the line full waits, and its listener answers *busy*.
const LINE: usize = 256;

/// No further decision joins a transaction that has run this long.
const JOINABLE: Duration = Duration::from_millis(50);

/// A future of a decision.
pub(crate) type Work<'c, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'c>>;

/// The writer's connection inside a transaction.
pub(crate) struct Tx {
    pub(crate) conn: SqliteConnection,
    pub(crate) shared: Arc<Shared>,
    events: Vec<Event>,
}

impl Tx {
    pub(crate) fn new(conn: SqliteConnection, shared: Arc<Shared>) -> Tx {
        Tx {
            conn,
            shared,
            events: Vec::new(),
        }
    }

    /// Tells the listeners, once the decision is committed.
    pub(crate) fn tell(&mut self, event: Event) {
        self.events.push(event);
    }

    async fn run(&mut self, sql: &'static str, step: &'static str) -> Result<(), StoreError> {
        sqlx::query(sql).execute(&mut self.conn).await.at(step)?;
        Ok(())
    }
}

/// What became of a decision; `tell` gives the caller its answer, or the failure of the commit.
struct Decided {
    keep: bool,
    tell: Box<dyn FnOnce(Option<StoreError>) + Send>,
}

/// Given the transaction, or why there is none.
type Decision = Box<
    dyn for<'c> FnOnce(
            Result<&'c mut Tx, StoreError>,
        ) -> Pin<Box<dyn Future<Output = Decided> + Send + 'c>>
        + Send,
>;

enum Message {
    Decide(Decision),
    Stop(oneshot::Sender<()>),
}

/// The way to the writer.
pub(crate) struct Writer {
    line: mpsc::Sender<Message>,
}

impl Writer {
    pub(crate) fn start(tx: Tx) -> Writer {
        let (line, decisions) = mpsc::channel(LINE);
        tokio::spawn(serve(tx, decisions));
        Writer { line }
    }

    pub(crate) async fn stop(&self) {
        let (done, stopped) = oneshot::channel();
        if self.line.send(Message::Stop(done)).await.is_ok() {
            // An error means that the writer had stopped already.
            let _ = stopped.await;
        }
    }

    /// Takes a decision; answers when it is durable.
    pub(crate) async fn decide<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut Tx) -> Work<'c, T> + Send + 'static,
    {
        let (answer, decided) = oneshot::channel();
        let decision: Decision = Box::new(move |tx| {
            Box::pin(async move {
                let result = match tx {
                    Ok(tx) => work(tx).await,
                    Err(error) => Err(error),
                };
                Decided {
                    keep: result.is_ok(),
                    tell: Box::new(move |failed| {
                        // The caller may have gone away; the decision stands all the same.
                        let _ = answer.send(match failed {
                            Some(error) if result.is_ok() => Err(error),
                            _ => result,
                        });
                    }),
                }
            })
        });
        self.line
            .send(Message::Decide(decision))
            .await
            .map_err(|_| StoreError::Closed)?;
        decided.await.map_err(|_| StoreError::Closed)?
    }
}

async fn serve(mut tx: Tx, mut line: mpsc::Receiver<Message>) {
    while let Some(message) = line.recv().await {
        let first = match message {
            Message::Decide(decision) => decision,
            Message::Stop(done) => return end(tx, done).await,
        };
        let mut decided = Vec::new();
        let (result, stop) = group(&mut tx, first, &mut line, &mut decided).await;
        let events = std::mem::take(&mut tx.events);
        match result {
            Ok(()) => {
                for event in events {
                    // No listener is no failure.
                    let _ = tx.shared.events.send(event);
                }
                for one in decided {
                    (one.tell)(None);
                }
            }
            Err(error) => {
                // The transaction may be open still or gone already; either way it must not stay.
                let _ = sqlx::query("ROLLBACK").execute(&mut tx.conn).await;
                let why = error.to_string();
                let mut error = Some(error);
                for one in decided {
                    (one.tell)(Some(error.take().unwrap_or_else(|| StoreError::Database {
                        step: "committing with others",
                        source: sqlx::Error::Protocol(why.clone()),
                    })));
                }
            }
        }
        if let Some(done) = stop {
            return end(tx, done).await;
        }
    }
}

/// Closes the connection, which folds the log into the database.
async fn end(tx: Tx, done: oneshot::Sender<()>) {
    // Everything is durable already; what fails here is repeated by the next opening.
    let _ = tx.conn.close().await;
    // Nobody may be waiting any more.
    let _ = done.send(());
}

/// Runs `first` and what waits behind it in one transaction.
async fn group(
    tx: &mut Tx,
    first: Decision,
    line: &mut mpsc::Receiver<Message>,
    decided: &mut Vec<Decided>,
) -> (Result<(), StoreError>, Option<oneshot::Sender<()>>) {
    if let Err(error) = tx.run("BEGIN IMMEDIATE", "beginning a transaction").await {
        decided.push(first(Err(error)).await);
        return (Ok(()), None);
    }
    let began = Instant::now();
    let mut next = Some(first);
    let mut stop = None;
    while let Some(decision) = next.take() {
        if let Err(error) = step(tx, decision, decided).await {
            return (Err(error), stop);
        }
        if began.elapsed() < JOINABLE {
            match line.try_recv() {
                Ok(Message::Decide(decision)) => next = Some(decision),
                Ok(Message::Stop(done)) => stop = Some(done),
                Err(_) => {}
            }
        }
    }
    (tx.run("COMMIT", "committing").await, stop)
}

/// Runs one decision in a savepoint.
async fn step(
    tx: &mut Tx,
    decision: Decision,
    decided: &mut Vec<Decided>,
) -> Result<(), StoreError> {
    if let Err(error) = tx.run("SAVEPOINT decision", "beginning a decision").await {
        decided.push(decision(Err(error)).await);
        return Err(StoreError::Closed);
    }
    let events = tx.events.len();
    let one = decision(Ok(&mut *tx)).await;
    let keep = one.keep;
    decided.push(one);
    if !keep {
        tx.events.truncate(events);
        tx.run("ROLLBACK TO decision", "taking a decision back")
            .await?;
    }
    tx.run("RELEASE decision", "ending a decision").await
}

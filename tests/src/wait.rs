//! Waiting for a condition, with a deadline that names what was waited for.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// How long a condition may take before the wait is given up. Generous, because machines that run
/// tests are noisy: it bounds a failure, it measures nothing.
pub const DEADLINE: Duration = Duration::from_secs(180);

/// Asks again and again until `condition` gives an answer.
///
/// # Errors
/// When the condition itself fails, or when [`DEADLINE`] passes: then `what` is named.
pub async fn until<T>(what: &str, condition: impl AsyncFnMut() -> Result<Option<T>>) -> Result<T> {
    within(DEADLINE, what, condition).await
}

/// As [`until`], with a deadline of its own.
///
/// # Errors
/// As [`until`].
pub async fn within<T>(
    deadline: Duration,
    what: &str,
    mut condition: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    let begun = Instant::now();
    loop {
        if let Some(answer) = condition().await? {
            return Ok(answer);
        }
        if begun.elapsed() > deadline {
            bail!("waited {} s in vain for {what}", deadline.as_secs());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

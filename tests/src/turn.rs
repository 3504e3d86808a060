//! Turns of tests that load the machine: cargo runs the tests of a program at once, and what one does to its
//! own agent would be done to those of the others too.

use tokio::sync::{Mutex, MutexGuard};

/// Waits until no other test of this program has its turn; it ends with what is given.
pub async fn take() -> MutexGuard<'static, ()> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());
    ONE_AT_A_TIME.lock().await
}

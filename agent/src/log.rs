//! What the agent writes to its log: standard error, one line an event.
//!
//! To the journal a line begins with its priority (`sd-daemon(3)`) and has no time, which the journal
//! has itself. Nothing is logged per file or process, and whatever repeats is bounded all the same: of
//! one sort of line twenty a minute, with the number of those left out at the next. Never in the
//! detector.

use std::collections::HashMap;
use std::fmt;
use std::os::unix::fs::MetadataExt as _;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::callsite::Identifier;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::{Format, Full, Writer};
use tracing_subscriber::fmt::time::SystemTime;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Names device and inode of what the service manager connected standard error to.
pub(crate) const JOURNAL_STREAM: &str = "JOURNAL_STREAM";

/// Lines of one sort in one [`WINDOW`].
const LINES: u32 = 20;
/// The time that they are counted over.
const WINDOW: Duration = Duration::from_secs(60);

/// Starts the log of this process.
pub(crate) fn start() {
    let log = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .event_format(Lines::new(to_journal()))
        .finish();
    // A test may have installed one already.
    let _ = tracing::subscriber::set_global_default(log);
}

/// Whether standard error is the journal's stream.
fn to_journal() -> bool {
    let Ok(stream) = std::env::var(JOURNAL_STREAM) else {
        return false;
    };
    std::fs::metadata("/proc/self/fd/2")
        .is_ok_and(|meta| stream == format!("{}:{}", meta.dev(), meta.ino()))
}

/// How an event becomes a line, and which do not.
struct Lines {
    journal: bool,
    timed: Format<Full, SystemTime>,
    bare: Format<Full, ()>,
    recent: Mutex<HashMap<Identifier, Recent>>,
}

/// How often one sort of line came lately.
struct Recent {
    since: Instant,
    count: u32,
}

impl Recent {
    /// Whether the next one is written, and how many were not since the last one that was.
    fn next(&mut self, now: Instant) -> Option<u32> {
        if now.saturating_duration_since(self.since) >= WINDOW {
            let left_out = self.count.saturating_sub(LINES);
            *self = Recent {
                since: now,
                count: 1,
            };
            return Some(left_out);
        }
        self.count = self.count.saturating_add(1);
        (self.count <= LINES).then_some(0)
    }
}

impl Lines {
    fn new(journal: bool) -> Lines {
        let format = tracing_subscriber::fmt::format()
            .with_target(false)
            .with_ansi(false);
        Lines {
            journal,
            bare: format.clone().without_time().with_level(false),
            timed: format,
            recent: Mutex::default(),
        }
    }

    fn next(&self, of: Identifier) -> Option<u32> {
        let now = Instant::now();
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        // One for each place in the program that logs: bounded by its text.
        let recent = recent.entry(of).or_insert(Recent {
            since: now,
            count: 0,
        });
        recent.next(now)
    }
}

/// The priority of `syslog(3)`.
fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        _ => 7,
    }
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let Some(left_out) = self.next(event.metadata().callsite()) else {
            return Ok(());
        };
        let before = if self.journal {
            format!("<{}>", priority(*event.metadata().level()))
        } else {
            String::new()
        };
        if left_out > 0 {
            writeln!(
                writer,
                "{before}{left_out} lines like the next one were left out"
            )?;
        }
        writer.write_str(&before)?;
        if self.journal {
            self.bare.format_event(context, writer, event)
        } else {
            self.timed.format_event(context, writer, event)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::Arc;

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(journal: bool, log: impl FnOnce()) -> String {
        let written = Written::default();
        let writer = written.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(move || writer.clone())
            .event_format(Lines::new(journal))
            .finish();
        tracing::subscriber::with_default(subscriber, log);
        String::from_utf8(written.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn the_journal_is_told_the_priority_and_keeps_the_time_itself() {
        let text = logged(true, || {
            tracing::error!("broken");
            tracing::warn!(count = 3, "odd");
            tracing::info!("well");
        });
        assert_eq!(text, "<3>broken\n<4>odd count=3\n<6>well\n");
        let text = logged(false, || tracing::warn!("odd"));
        assert!(
            text.ends_with(" WARN odd\n") && text.starts_with("20"),
            "{text}"
        );
    }

    #[test]
    fn what_repeats_is_bounded_and_counted_and_hides_nothing_else() {
        let text = logged(true, || {
            for number in 0..1000 {
                tracing::warn!(number, "again");
            }
            tracing::warn!("another");
        });
        assert_eq!(text.matches("again").count(), LINES as usize);
        assert!(text.ends_with("<4>another\n"), "{text}");
        let begun = Instant::now();
        let mut recent = Recent {
            since: begun,
            count: 0,
        };
        let written = (0..50).filter(|_| recent.next(begun).is_some()).count();
        assert_eq!(written, LINES as usize);
        assert_eq!(
            recent.next(begun + WINDOW),
            Some(30),
            "what was left out is said"
        );
        assert_eq!(recent.next(begun + WINDOW), Some(0));
    }
}

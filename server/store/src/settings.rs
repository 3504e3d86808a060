//! Settings: small named values of the collector. No secret and no key belongs here.

use crate::Answer;
use crate::audit::Actor;
use akwatch_proto::time::Time;

/// Settings.
pub trait Settings {
    /// The value of a name.
    fn setting<'a>(&'a self, name: &'a str) -> Answer<'a, Option<String>>;

    /// Stores a value.
    fn put_setting(&self, name: String, value: String, actor: Actor, now: Time) -> Answer<'_, ()>;

    /// Stores a value unless there is one; answers the one that stands.
    fn settle_setting(&self, name: String, value: String, now: Time) -> Answer<'_, String>;
}

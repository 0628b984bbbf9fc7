//! Control: the admin socket, the web part, and what they show.
//!
//! Everything is asked of an [`Operator`]: nothing here knows how the server works.

pub mod config;
/// What an operator can ask of a running server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// The `status` object.
    Status,
    /// All zones.
    Zones,
    /// One decision, or the last ones.
    Explain(Option<u64>),
    /// Stop wanting queries, serve until quiet or until the timeout.
    Drain {
        /// Overrides `drain-timeout`.
        timeout: Option<std::time::Duration>,
        /// Only say what would happen.
        simulate: bool,
    },
    /// End a drain.
    Undrain,
    /// Load all zones, or one, again.
    Reload(Option<String>),
}

/// The answer to a [`Command`]: a JSON value, or why it was refused.
pub type Reply = Result<serde_json::Value, String>;

/// Whoever carries commands out; `app` implements it over the herald loop's inbox.
pub trait Operator: Send + Sync + 'static {
    /// Hands a command over; the answer comes through `reply`.
    fn submit(&self, command: Command, reply: tokio::sync::oneshot::Sender<Reply>);
}

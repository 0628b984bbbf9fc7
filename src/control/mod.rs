//! Control: the admin socket, the web part, the agent check, and what they show.
//!
//! Everything is asked of an [`Operator`]; nothing here knows how the server works.

pub mod agent_check;
mod bounded;
pub mod client;
pub mod config;
mod history;
mod listing;
pub mod metrics;
pub mod neighbors;
mod page;
pub mod port;
pub mod socket;
pub mod status;
pub mod web;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::sync::oneshot;

pub use metrics::Measurements;

/// What an operator can ask of a running server: one JSON object on the admin socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Command {
    /// The [`status::Status`].
    Status,
    /// All zones: a list of [`status::Zone`].
    Zones,
    /// One decision, or the last ones: a list of [`status::Decision`].
    Explain {
        /// The decision's number.
        #[serde(default)]
        id: Option<u64>,
    },
    /// Stop wanting queries, serve until quiet or until the timeout: a [`status::DrainReceipt`].
    Drain {
        /// Overrides `drain-timeout`.
        #[serde(default, with = "optional_duration")]
        timeout: Option<Duration>,
        /// Only say what would happen.
        #[serde(default)]
        simulate: bool,
    },
    /// End a drain: the [`status::Status`] after it.
    Undrain,
    /// Load the zones that have changed, or one in any case: [`status::Reloaded`].
    Reload {
        /// Only this one.
        #[serde(default)]
        zone: Option<String>,
    },
    /// The cache of a router side: [`neighbors::Neighbors`].
    Neighbors,
}

/// The answer to a [`Command`]: the JSON text of a value, or why it was refused.
pub type Reply = Result<Box<RawValue>, String>;

/// Whoever carries commands out; `app` implements it over the herald loop's inbox.
pub trait Operator: Send + Sync + 'static {
    /// Hands a command over; the answer comes through `reply`.
    fn submit(&self, command: Command, reply: oneshot::Sender<Reply>);

    /// Asks for everything that `/metrics` shows.
    fn measure(&self, reply: oneshot::Sender<Measurements>);
}

/// `Option<Duration>` as the config writes durations.
mod optional_duration {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de};

    use crate::base::duration;

    #[allow(clippy::ref_option, reason = "serde's `with` passes the field by reference")]
    pub(super) fn serialize<S: Serializer>(value: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => duration::serialize(value, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        let text: Option<String> = Option::deserialize(deserializer)?;
        text.map(|text| duration::parse(&text).map_err(de::Error::custom)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_read_what_they_write() {
        let drain = Command::Drain {
            timeout: Some(Duration::from_secs(5)),
            simulate: true,
        };
        for (command, text) in [
            (Command::Status, r#"{"command":"status"}"#),
            (drain, r#"{"command":"drain","timeout":"5s","simulate":true}"#),
            (Command::Explain { id: None }, r#"{"command":"explain","id":null}"#),
            (Command::Reload { zone: None }, r#"{"command":"reload","zone":null}"#),
        ] {
            assert_eq!(serde_json::to_string(&command).unwrap(), text);
            assert_eq!(serde_json::from_str::<Command>(text).unwrap(), command);
        }
    }

    #[test]
    fn what_is_left_out_has_its_default() {
        let drain = Command::Drain {
            timeout: None,
            simulate: false,
        };
        assert_eq!(serde_json::from_str::<Command>(r#"{"command":"drain"}"#).unwrap(), drain);
        assert!(serde_json::from_str::<Command>(r#"{"command":"dance"}"#).is_err());
    }
}

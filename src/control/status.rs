//! What a running server shows of itself: the JSON objects behind `status`, `zones`, `explain` and `drain`.
//!
//! `app` fills them in; the admin socket, the web part and the commands read them. Field names are promised to the outside.

use std::collections::BTreeMap;
use std::fmt;
use std::net::Ipv6Addr;

use serde::{Deserialize, Serialize};

/// The `status` object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The configured identity.
    pub identity: String,
    /// Version of the running program.
    pub version: String,
    /// Where the server stands.
    pub state: State,
    /// Why.
    pub reason: String,
    /// Since when: RFC 3339, UTC.
    pub since: String,
    /// The processes.
    pub pids: Pids,
    /// The service addresses.
    pub services: Vec<Service>,
    /// Queries, without the server's own probes.
    pub queries: Queries,
    /// Share of the capacity in use: 0 to 1, and above.
    pub load: f64,
    /// The same over the last second or two.
    #[serde(default)]
    pub recent_load: f64,
    /// Queries a second it can take, configured or learned; 0: not known.
    #[serde(default)]
    pub capacity: u64,
    /// The cost class: normal, busy, overloaded or last-resort.
    #[serde(default)]
    pub class: String,
    /// Why it is in this class, and why not in another.
    #[serde(default)]
    pub class_reason: String,
    /// The advertisers, in the configured order.
    pub advertisers: Vec<Advertiser>,
    /// The other servers that are known.
    pub peers: Vec<Peer>,
    /// The peer messages in numbers; none without peers.
    #[serde(default)]
    pub peer_messages: Option<PeerMessages>,
    /// The zones in numbers.
    #[serde(default)]
    pub zones: ZoneNumbers,
    /// What the operator should look at; empty when all is well.
    #[serde(default)]
    pub problems: Vec<String>,
}

/// Where a server stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Not ready yet.
    #[default]
    Starting,
    /// Able and silent: not the holder, or idle.
    Standby,
    /// Some advertiser attracts queries now.
    Active,
    /// Serves what still comes, no longer advertises.
    Draining,
    /// Unhealthy.
    Withdrawn,
    /// On its way out.
    Stopping,
}

impl State {
    /// Every state there is.
    pub const ALL: [Self; 6] = [
        Self::Starting,
        Self::Standby,
        Self::Active,
        Self::Draining,
        Self::Withdrawn,
        Self::Stopping,
    ];

    /// The state's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Standby => "standby",
            Self::Active => "active",
            Self::Draining => "draining",
            Self::Withdrawn => "withdrawn",
            Self::Stopping => "stopping",
        }
    }

    /// True if the server can take queries: `/health` says 200, `status` exits with 0.
    #[must_use]
    pub const fn is_healthy(self) -> bool {
        matches!(self, Self::Standby | Self::Active)
    }
}

impl fmt::Display for State {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

/// Process ids.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pids {
    /// The watching process; none when the main process was started without it.
    pub guardian: Option<u32>,
    /// The serving process.
    pub main: u32,
}

/// One service address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// The service-specific anycast address (314).
    pub address: Ipv6Addr,
    /// It is advertised now.
    pub advertised: bool,
    /// Routers have this server's link-layer address for it, or a route.
    pub holder: bool,
}

/// Queries, without the server's own probes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Queries {
    /// Since the start.
    pub total: u64,
    /// At present.
    pub per_second: f64,
}

/// One advertiser.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Advertiser {
    /// `nd`, ...
    pub protocol: String,
    /// starting, silent, advertising, withdrawing, withdrawn or failed.
    pub state: String,
    /// Advertisements sent.
    pub sent: u64,
    /// Advertisements that could not be sent.
    pub errors: u64,
    /// The route cost it tells, where its protocol has one.
    #[serde(default)]
    pub cost: Option<u32>,
    /// One line: whom it waits for, what it does next.
    #[serde(default)]
    pub detail: String,
    /// Received packets that were dropped, by cause.
    #[serde(default)]
    pub dropped: BTreeMap<String, u64>,
}

/// Another server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Peer {
    /// Its identity, or the hash of it.
    pub identity: String,
    /// Where its messages come from.
    pub address: Ipv6Addr,
    /// The state it tells; also `gone`, its last word or said on its behalf.
    pub state: String,
    /// Share of its capacity.
    pub load: f64,
    /// The cost class it tells.
    #[serde(default)]
    pub class: String,
    /// Milliseconds since its last message.
    pub last_heard_ms: u64,
    /// So long that it counts as dead.
    #[serde(default)]
    pub dead: bool,
    /// It says that routers have its link-layer address, or a route to it.
    #[serde(default)]
    pub holder: bool,
    /// Queries a second that it is asked at the service addresses.
    #[serde(default)]
    pub per_second: u64,
}

/// The peer messages in numbers, since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerMessages {
    /// Sent.
    pub sent: u64,
    /// Those that could not be sent.
    pub errors: u64,
    /// Received and believed.
    pub received: u64,
    /// Received and not believed, by cause.
    pub dropped: BTreeMap<String, u64>,
}

/// The zones in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZoneNumbers {
    /// Zones that are served.
    pub loaded: u64,
    /// Zones whose file is wrong now, whether an older version is served or none.
    pub failed: u64,
    /// Records of the served zones.
    pub records: u64,
}

/// What a reload did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reloaded {
    /// Zones that were read and are served now.
    pub loaded: u64,
    /// Zones whose files are as they were, and were not read.
    pub unchanged: u64,
    /// Zones whose file is wrong: what was served of them is served on.
    pub failed: u64,
    /// Zones that had no file any more and are not served now.
    pub gone: u64,
    /// The zones that were read, up to 1,000: those that failed, then those that were loaded.
    pub zones: Vec<Zone>,
}

/// One zone, as `zones` lists it and `reload` answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Zone {
    /// The zone's name.
    pub name: String,
    /// Serial of the served version.
    pub serial: Option<u32>,
    /// Records of the served version.
    pub records: u64,
    /// The zone file.
    pub file: String,
    /// What is served.
    pub state: ZoneState,
    /// Why the file could not be loaded, `file:line:column` first.
    pub error: Option<String>,
}

/// What is served of a zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ZoneState {
    /// The file as it was last loaded.
    Loaded,
    /// An older version: the file could not be loaded again.
    Stale,
    /// Nothing: the file was never right.
    Failed,
}

impl fmt::Display for ZoneState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Loaded => "loaded",
            Self::Stale => "stale",
            Self::Failed => "failed",
        })
    }
}

/// One decision of the scheduler's with what it was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Its number.
    pub id: u64,
    /// When: RFC 3339, UTC.
    pub at: String,
    /// The state before.
    pub from: String,
    /// The state after.
    pub to: String,
    /// The cost class before.
    #[serde(default)]
    pub class_from: String,
    /// The cost class after.
    #[serde(default)]
    pub class_to: String,
    /// The rule that applied.
    pub reason: String,
    /// What was seen, by name.
    #[serde(default)]
    pub seen: BTreeMap<String, String>,
}

/// What a drain did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrainReceipt {
    /// Only said, not done.
    pub simulated: bool,
    /// Quiet was reached before the timeout; simulated: another server would take over.
    pub complete: bool,
    /// The whole drain, in milliseconds.
    pub took_ms: u64,
    /// From the order to the last advertisement's withdrawal, in milliseconds; none if it did not come to that.
    pub withdrawn_after_ms: Option<u64>,
    /// Who takes over, as far as it is known.
    pub successor: Option<String>,
    /// From the order to the last query, in milliseconds; none without a query.
    pub last_query_after_ms: Option<u64>,
    /// Queries that came after the order.
    pub received: u64,
    /// Of these, answered.
    pub answered: u64,
    /// Of these, lost: dropped by the kernel, left without an answer, or come on a connection that had been closed.
    pub lost: u64,
    /// What became of the connections.
    #[serde(default)]
    pub connections: DrainedConnections,
    /// What the operator should know; empty when all is well.
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// What a drain did to the connections that others have to the service addresses: TCP, TLS and HTTPS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrainedConnections {
    /// Open at the order.
    pub at_start: u64,
    /// Begun since.
    pub opened: u64,
    /// Ended in order, every query answered.
    pub closed: u64,
    /// Ended by their clients within a message, by an error, or with a query unanswered.
    pub broken: u64,
    /// Cut by the timeout: still open then, and closed in a pause after it.
    pub cut: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROMISED: &str = r#"{"identity":"s1","version":"0.1.0","state":"active","reason":"holder of 2001:db8:5::53",
        "since":"2026-01-01T00:00:00Z","pids":{"guardian":100,"main":101},
        "services":[{"address":"2001:db8:5::53","advertised":true,"holder":true}],
        "queries":{"total":1234,"per_second":17.2},"load":0.31,
        "advertisers":[{"protocol":"nd","state":"advertising","sent":12,"errors":0}],
        "peers":[{"identity":"s2","address":"fe80::1","state":"standby","load":0.0,"last_heard_ms":120}]}"#;

    #[test]
    fn status_has_the_promised_names() {
        let status: Status = serde_json::from_str(PROMISED).unwrap();
        let written = serde_json::to_value(&status).unwrap();
        let promised: serde_json::Value = serde_json::from_str(PROMISED).unwrap();
        for (key, value) in promised.as_object().unwrap() {
            match (key.as_str(), value[0].as_object()) {
                ("advertisers" | "peers", Some(fields)) => {
                    for (field, promised) in fields {
                        assert_eq!(&written[key][0][field], promised, "{key}: {field}");
                    }
                }
                _ => assert_eq!(&written[key], value, "{key}"),
            }
        }
    }

    #[test]
    fn states_are_written_by_their_names() {
        for state in State::ALL {
            assert_eq!(serde_json::to_value(state).unwrap(), state.name());
        }
        let healthy: Vec<_> = State::ALL.into_iter().filter(|state| state.is_healthy()).collect();
        assert_eq!(healthy, [State::Standby, State::Active]);
    }
}

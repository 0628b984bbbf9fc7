//! What the scheduler tells the advertisers: whether this server wants queries, and how much it can take.

use std::fmt;

pub use crate::base::cost::CostClass;

/// One decision of the scheduler's. Advertisers say it on the network, each in its own protocol's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Counts the decisions of this process; `explain` finds them by it.
    pub id: u64,
    /// Whether queries are wanted.
    pub intent: Intent,
    /// Cost class for protocols with a route cost (claims 11 to 13).
    pub class: CostClass,
    /// Load in thousandths of the capacity (claim 16).
    pub load: u16,
    /// The same over the last second or two, for a router side.
    pub recent_load: u16,
    /// Share among the peers, as configured.
    pub weight: u16,
    /// Health, higher is better: 255 fit, lower with soft faults.
    pub health: u8,
}

/// Whether this server wants queries from the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Intent {
    /// Queries are wanted.
    Advertise,
    /// Idle standby: able, and silent until somebody asks (claims 7 and 8).
    Silent,
    /// Queries are not wanted: hand over to another server.
    Withdraw(Withdrawal),
}

/// Why queries are not wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Withdrawal {
    /// Not ready yet: nothing has been advertised, nothing is to be handed over.
    Starting,
    /// Drain or stop: what still comes is served until it is quiet.
    Planned,
    /// The service, the address or the link has failed (claim 9): what comes may not be served.
    Unhealthy,
}

impl fmt::Display for Intent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Advertise => "advertise",
            Self::Silent => "silent",
            Self::Withdraw(Withdrawal::Starting) => "not ready",
            Self::Withdraw(Withdrawal::Planned) => "withdraw, planned",
            Self::Withdraw(Withdrawal::Unhealthy) => "withdraw, unhealthy",
        })
    }
}

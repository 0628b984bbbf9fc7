//! What the monitoring means (304) saw: plain data, the scheduler's only input.
//!
//! Not how it was seen: `ledger`, `probe`, `system` and `io::interface` do that.

use std::fmt;

use super::group::Group;
use crate::base::machine::InterfaceState;
use crate::base::time::Timestamp;

/// One look at this server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// When it was made.
    pub at: Timestamp,
    /// Whether the service process (300) answers.
    pub service: Health,
    /// Whether the link interface carries the service address (314) and its groups. Healthy without a `[service]`.
    pub link: Health,
    /// When the last query from others reached a service address.
    pub last_inflow: Option<Timestamp>,
    /// When somebody last asked for this server: a solicitation, a take-over.
    pub last_wanted: Option<Timestamp>,
    /// Another server holds the service address now.
    pub other_holder: bool,
    /// What the operator wants.
    pub order: Order,
    /// Load in thousandths of the capacity, smoothed.
    pub load: u16,
    /// The same over the last second or two. To be told, not to be decided by.
    pub recent_load: u16,
    /// Queries a second to service addresses from others, smoothed, lost ones too.
    pub offered: u32,
    /// Queries a second that this server can take; 0: not known.
    pub capacity: u32,
    /// CPU in use on the whole host, in thousandths. To be told, not to be decided by: others' work is no load of ours.
    pub cpu: u16,
    /// The other servers; `None`: nobody listens to them.
    pub group: Option<Group>,
    /// How much more than ours in class normal the routes of other servers cost; `None`: no advertiser sees routes.
    pub routes: Option<Vec<u32>>,
}

impl Observation {
    /// Nobody asks, nobody else is there, nothing is wrong with the link.
    #[must_use]
    pub const fn empty(at: Timestamp, service: Health, order: Order) -> Self {
        Self {
            at,
            service,
            link: Health::Healthy,
            last_inflow: None,
            last_wanted: None,
            other_holder: false,
            order,
            load: 0,
            recent_load: 0,
            offered: 0,
            capacity: 0,
            cpu: 0,
            group: None,
            routes: None,
        }
    }
}

/// Health of a part. Unknown counts as down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Health {
    /// Not seen yet.
    #[default]
    Unknown,
    /// Seen to work.
    Healthy,
    /// Seen to fail.
    Faulty(Fault),
}

impl Health {
    /// Both together: a fault outweighs not knowing, and not knowing outweighs health.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Faulty(fault), _) | (_, Self::Faulty(fault)) => Self::Faulty(fault),
            (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
            (Self::Healthy, Self::Healthy) => Self::Healthy,
        }
    }
}

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// No zone is loaded.
    NoZones,
    /// A query worker has died or its loop stands still.
    WorkerSilent,
    /// The service does not answer its own probes.
    ProbeUnanswered,
    /// The kernel does not take the answers.
    RepliesNotLeaving,
    /// No route leads to those whom this server has answered before.
    NoRoute,
    /// The link interface does not exist.
    InterfaceMissing,
    /// The link interface is down or has no carrier.
    InterfaceDown,
    /// The link interface has no usable link-local address.
    NoLinkLocal,
    /// The kernel has left a multicast group of ours.
    GroupLost,
    /// A service address is no longer configured on this host.
    AddressLost,
    /// An older server on the link has this server's link-layer address.
    LinkLayerTaken,
}

impl Fault {
    /// True for faults of the link interface.
    #[must_use]
    pub const fn is_of_the_link(self) -> bool {
        match self {
            Self::InterfaceMissing | Self::InterfaceDown | Self::NoLinkLocal | Self::GroupLost | Self::LinkLayerTaken => true,
            Self::NoZones | Self::WorkerSilent | Self::ProbeUnanswered | Self::RepliesNotLeaving | Self::NoRoute | Self::AddressLost => {
                false
            }
        }
    }

    /// True for faults of the service address itself.
    #[must_use]
    pub const fn is_of_the_address(self) -> bool {
        matches!(self, Self::AddressLost)
    }

    /// A fault of the link comes and goes as a whole, and so does one of the routes, which a router may have taken from all
    /// servers at once: when it is over, advertising goes on at once. A fault of the service may come back: the server is
    /// held off for a while.
    #[must_use]
    pub const fn needs_hold(self) -> bool {
        !self.is_of_the_link() && !self.is_of_the_address() && !matches!(self, Self::NoRoute)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::NoZones => "no zone is loaded",
            Self::WorkerSilent => "a query worker stands still",
            Self::ProbeUnanswered => "the service does not answer its own probes",
            Self::RepliesNotLeaving => "the kernel does not take the answers",
            Self::NoRoute => "no route leads to those who were answered before",
            Self::InterfaceMissing => "the link interface does not exist",
            Self::InterfaceDown => "the link interface is down",
            Self::NoLinkLocal => "the link interface has no usable link-local address",
            Self::GroupLost => "a multicast group is no longer joined on the link interface",
            Self::LinkLayerTaken => "an older server has the link-layer address of the link interface",
            Self::AddressLost => "a service address is no longer configured on this host",
        })
    }
}

/// What the operator wants of this server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Order {
    /// Serve.
    #[default]
    Serve,
    /// `heraldns drain`.
    Drain,
    /// SIGTERM or SIGINT. Never taken back.
    Stop,
}

/// The health of the link as the scheduler judges it.
#[must_use]
pub fn link_health(interface: &InterfaceState) -> Health {
    let fault = if interface.index.0 == 0 {
        Fault::InterfaceMissing
    } else if !interface.up {
        Fault::InterfaceDown
    } else if interface.link_local.is_none() {
        Fault::NoLinkLocal
    } else if !interface.service_addresses_held {
        Fault::AddressLost
    } else if !interface.groups_held {
        Fault::GroupLost
    } else {
        return Health::Healthy;
    };
    Health::Faulty(fault)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_and_goes_as_a_whole_needs_no_hold() {
        for (fault, expected) in [
            (Fault::WorkerSilent, true),
            (Fault::ProbeUnanswered, true),
            (Fault::RepliesNotLeaving, true),
            (Fault::NoRoute, false),
            (Fault::InterfaceDown, false),
            (Fault::AddressLost, false),
        ] {
            assert_eq!(fault.needs_hold(), expected, "{fault}");
        }
    }
}

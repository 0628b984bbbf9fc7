//! Sending means (308): one folder per protocol, each telling the network what the scheduler decided.
//!
//! The scheduler decides whether queries are wanted; an advertiser decides how its protocol says so. One advertiser
//! never imports another; what peers say goes through `app`.

pub mod nd;
pub mod ospf;
pub mod peers;

use std::time::Duration;

use crate::base::machine::{ChannelId, Machine, OutDatagram, Outbox};
use crate::base::peer::IdentityHash;
use crate::base::time::Timestamp;
use crate::scheduler::Decision;

/// A protocol that attracts queries to this server.
pub trait Advertiser: Machine {
    /// Tells the network what was decided. Idempotent: saying it twice sends nothing new.
    fn apply(&mut self, decision: &Decision, now: Timestamp, out: &mut Outbox);

    /// Ready-made packets for whoever outlives this process: sent for it when it has died or hangs, they take back what it has said.
    /// To be asked for again after every call.
    fn farewell(&self) -> Vec<Farewell>;

    /// The farewell was said while this process hung: what it had told the network is no longer so. It starts as new.
    fn taken_back(&mut self, now: Timestamp, out: &mut Outbox);

    /// The last call before an orderly end: ends the conversation with the network. Of the farewell, what does not go at once is
    /// still to be sent.
    fn leave(&mut self, _now: Timestamp, _out: &mut Outbox) {}

    /// What status and explain show; they read nothing else.
    fn report(&self) -> Report;

    /// True once nothing that this protocol has said points here any more; shutdown waits for it.
    fn is_withdrawn(&self) -> bool;
}

/// When a farewell is said: as often as it takes to get one across.
pub(crate) const FAREWELLS: [Duration; 3] = [Duration::ZERO, Duration::from_millis(50), Duration::from_millis(150)];

/// A packet to send when the process that made it has died, or hangs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Farewell {
    /// How long after the death.
    pub after: Duration,
    /// On which of the advertiser's channels.
    pub channel: ChannelId,
    /// The packet, with its source.
    pub datagram: OutDatagram,
}

/// An advertiser as `status` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// `nd`, `ospf`, ...: the configured protocol.
    pub protocol: &'static str,
    /// Where it stands.
    pub state: State,
    /// Routers should have this server's link-layer address now (ND), or a route to it.
    pub holder: bool,
    /// It attracts queries by advertisements now; false in idle standby.
    pub advertised: bool,
    /// Another server is known to hold the service address.
    pub other_holder: Option<IdentityHash>,
    /// There is one holder at a time (ND, but for members); elsewhere all may be next to each other.
    pub sole: bool,
    /// The present term (ND), or 0.
    pub term: u32,
    /// While leaving: who takes over.
    pub successor: Option<IdentityHash>,
    /// The route cost it tells the network now, where its protocol has one and it says something.
    pub cost: Option<u32>,
    /// How much more than ours in class normal the routes of other servers to a service address cost; `None`: this protocol does not
    /// know of any routes now.
    pub other_routes: Option<Vec<u32>>,
    /// Queries that came here while another server was the holder, since the start.
    pub misdelivered: u32,
    /// Advertisements sent.
    pub sent: u64,
    /// Advertisements that could not be sent.
    pub errors: u64,
    /// Received packets that were dropped, by cause.
    pub dropped: Vec<(&'static str, u64)>,
    /// One line for the operator: whom it waits for, what it does next.
    pub detail: String,
}

impl Report {
    /// Whether this server is the one holder, and the term. A route makes nobody that, nor does membership.
    #[must_use]
    pub fn place(&self) -> (bool, u32) {
        (self.holder && self.sole, self.term)
    }
}

/// Where an advertiser stands. The names are those of `status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Nothing has been decided yet, or it listens before it speaks.
    Starting,
    /// Able and silent.
    Silent,
    /// Attracts queries.
    Advertising,
    /// Hands over.
    Withdrawing,
    /// Nothing points here.
    Withdrawn,
    /// Cannot speak: the link, the group or the address is missing.
    Failed,
}

impl State {
    /// The state's name in `status`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Silent => "silent",
            Self::Advertising => "advertising",
            Self::Withdrawing => "withdrawing",
            Self::Withdrawn => "withdrawn",
            Self::Failed => "failed",
        }
    }
}

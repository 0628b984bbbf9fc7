//! The neighbour machine (RFC 2328 §10.1 to §10.3) as a table, and what is kept of each neighbour.
//!
//! ```text
//!         Hello          2-Way               negotiation    exchange done       loading
//!   Down -------> Init ---------+--> ExStart -------> Exchange -----+--> Loading ----> Full
//!                  ^            |       ^ ^              |          |                   ^
//!                  |   no       v       | | AdjOK?       |          +-- nothing asked --+
//!                  |   need    2-Way ---+ |              |
//!                  +-- 1-Way (any)        +--------------+  mismatch, bad request (Exchange, Loading, Full)
//!   any -- killed, dead --> Down
//! ```
//! Attempt is for links without multicast. The effects of a step are in `exchange` and `machine`.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;

use super::authentication::Replay;
use super::exchange::Exchange;
use super::flooding::Owed;
use super::wire::{InterfaceId, LsaHeader, LsaKey, Options, PacketType, RouterId};
use crate::base::time::Timestamp;

/// How far the conversation with a neighbour has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum State {
    /// Nothing was heard lately.
    Down,
    /// It was heard, and does not hear us yet.
    Init,
    /// Both hear each other.
    TwoWay,
    /// Who is master of the exchange?
    ExStart,
    /// Each says what it has.
    Exchange,
    /// What is missing is asked for.
    Loading,
    /// The databases are the same.
    Full,
}

impl State {
    /// The state's name in `status` and the log.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Down => "Down",
            Self::Init => "Init",
            Self::TwoWay => "2-Way",
            Self::ExStart => "ExStart",
            Self::Exchange => "Exchange",
            Self::Loading => "Loading",
            Self::Full => "Full",
        }
    }
}

/// What moves the conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// HelloReceived.
    Hello,
    /// 2-WayReceived: its Hello names us; and whether an adjacency is wanted.
    TwoWay(bool),
    /// NegotiationDone: who is master is clear.
    Negotiated,
    /// ExchangeDone: both have said all; and whether something has to be asked for.
    Exchanged(bool),
    /// LoadingDone: nothing is asked for any more.
    Loaded,
    /// AdjOK?: whether an adjacency is (still) wanted.
    AdjacencyWanted(bool),
    /// SeqNumberMismatch: the exchange went wrong.
    Mismatch,
    /// BadLSReq: it asks for, or sends, what cannot be.
    BadRequest,
    /// 1-WayReceived: its Hello does not name us.
    OneWay,
    /// KillNbr, LLDown: the link went, or its address changed.
    Killed,
    /// InactivityTimer: it was not heard for the dead interval.
    Inactive,
}

impl State {
    /// The state after `event`.
    pub(super) const fn after(self, event: Event) -> Self {
        match (self, event) {
            (_, Event::Killed | Event::Inactive) => Self::Down,

            (Self::Down, Event::Hello) => Self::Init,
            (Self::Down, Event::TwoWay(_) | Event::OneWay | Event::AdjacencyWanted(_)) => Self::Down,
            (Self::Down, Event::Negotiated | Event::Exchanged(_) | Event::Loaded | Event::Mismatch | Event::BadRequest) => Self::Down,

            (Self::Init, Event::TwoWay(true)) => Self::ExStart,
            (Self::Init, Event::TwoWay(false)) => Self::TwoWay,
            (Self::Init, Event::Hello | Event::OneWay | Event::AdjacencyWanted(_)) => Self::Init,
            (Self::Init, Event::Negotiated | Event::Exchanged(_) | Event::Loaded | Event::Mismatch | Event::BadRequest) => Self::Init,

            (_, Event::OneWay) => Self::Init,

            (Self::TwoWay, Event::AdjacencyWanted(true)) => Self::ExStart,
            (Self::TwoWay, Event::Hello | Event::TwoWay(_) | Event::AdjacencyWanted(false)) => Self::TwoWay,
            (Self::TwoWay, Event::Negotiated | Event::Exchanged(_) | Event::Loaded | Event::Mismatch | Event::BadRequest) => Self::TwoWay,

            (_, Event::AdjacencyWanted(false)) => Self::TwoWay,

            (Self::ExStart, Event::Negotiated) => Self::Exchange,
            (Self::ExStart, Event::Hello | Event::TwoWay(_) | Event::AdjacencyWanted(true)) => Self::ExStart,
            (Self::ExStart, Event::Exchanged(_) | Event::Loaded | Event::Mismatch | Event::BadRequest) => Self::ExStart,

            (_, Event::Mismatch | Event::BadRequest) => Self::ExStart,

            (Self::Exchange, Event::Exchanged(true)) => Self::Loading,
            (Self::Exchange, Event::Exchanged(false)) => Self::Full,
            (Self::Exchange, Event::Hello | Event::TwoWay(_) | Event::AdjacencyWanted(true)) => Self::Exchange,
            (Self::Exchange, Event::Negotiated | Event::Loaded) => Self::Exchange,

            (Self::Loading, Event::Loaded) => Self::Full,
            (Self::Loading, Event::Hello | Event::TwoWay(_) | Event::AdjacencyWanted(true)) => Self::Loading,
            (Self::Loading, Event::Negotiated | Event::Exchanged(_)) => Self::Loading,

            (Self::Full, Event::Hello | Event::TwoWay(_) | Event::AdjacencyWanted(true)) => Self::Full,
            (Self::Full, Event::Negotiated | Event::Exchanged(_) | Event::Loaded) => Self::Full,
        }
    }
}

/// A router, or another server, on the link.
#[derive(Clone, Debug)]
pub(super) struct Neighbor {
    pub(super) router: RouterId,
    pub(super) address: Ipv6Addr,
    pub(super) state: State,
    pub(super) since: Timestamp,
    pub(super) heard: Timestamp,
    /// Its number of its interface.
    pub(super) interface: InterfaceId,
    pub(super) priority: u8,
    /// It has begun an exchange, which only DR and BDR do, before a Hello of its said that it is one.
    pub(super) invites: bool,
    pub(super) designated_router: RouterId,
    pub(super) backup_designated_router: RouterId,
    /// As in its database descriptions: they must not change during an exchange.
    pub(super) options: Options,
    pub(super) exchange: Exchange,
    /// What is still to be asked for: the instances that it described.
    pub(super) requests: BTreeMap<LsaKey, LsaHeader>,
    /// What it has not yet acknowledged.
    pub(super) owed: BTreeMap<LsaKey, Owed>,
    pub(super) replay: Replay,
}

impl Neighbor {
    /// A neighbour that has just been heard for the first time.
    pub(super) fn new(router: RouterId, address: Ipv6Addr, now: Timestamp) -> Self {
        Self {
            router,
            address,
            state: State::Down,
            since: now,
            heard: now,
            interface: InterfaceId::default(),
            priority: 0,
            invites: false,
            designated_router: RouterId::NONE,
            backup_designated_router: RouterId::NONE,
            options: Options::default(),
            exchange: Exchange::default(),
            requests: BTreeMap::new(),
            owed: BTreeMap::new(),
            replay: Replay::default(),
        }
    }

    /// True if updates go to it, and are taken from it.
    pub(super) fn takes_updates(&self) -> bool {
        self.state >= State::Exchange
    }

    /// Forgets the exchange; what it is called stays.
    pub(super) fn forget_exchange(&mut self) {
        self.exchange.forget();
        self.requests.clear();
        self.owed.clear();
    }

    /// It may have begun anew, at trailer numbers below those of its last exchange, if a packet that was newer than the last of its type
    /// says so. A request or an update never does: it could be replayed in every exchange.
    pub(super) fn forget_numbers(&mut self, event: Event) {
        match event {
            Event::Killed | Event::Inactive => self.replay = Replay::default(),
            Event::OneWay => self.replay.forget_above(PacketType::Hello),
            Event::Mismatch => self.replay.forget_above(PacketType::DatabaseDescription),
            _ => {}
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::State::{Down, ExStart, Exchange, Full, Init, Loading, TwoWay};
    use super::*;

    pub(in crate::advertiser::ospf) fn neighbor(router: u32, state: State) -> Neighbor {
        let mut one = Neighbor::new(RouterId(router), Ipv6Addr::UNSPECIFIED, Timestamp::ZERO);
        one.state = state;
        one
    }

    #[test]
    fn an_exchange_that_begins_anew_has_numbers_of_its_own() {
        const TYPES: [PacketType; 3] = [PacketType::Hello, PacketType::DatabaseDescription, PacketType::LinkStateRequest];
        let stories = [
            (Event::BadRequest, [false, false, false]),
            (Event::Mismatch, [false, false, true]),
            (Event::OneWay, [false, true, true]),
            (Event::Inactive, [true, true, true]),
        ];
        for (event, taken_anew) in stories {
            let mut one = neighbor(9, Full);
            assert!(TYPES.iter().all(|kind| one.replay.admit(*kind, 300)));
            one.forget_numbers(event);
            assert_eq!(TYPES.map(|kind| one.replay.admit(kind, 7)), taken_anew, "{event:?}");
        }
    }

    #[test]
    fn every_event_in_every_state() {
        #[rustfmt::skip]
        let table = [
            //                               Down  Init     TwoWay   ExStart   Exchange  Loading  Full
            (Event::Hello,                  [Init, Init,    TwoWay,  ExStart,  Exchange, Loading, Full]),
            (Event::TwoWay(true),           [Down, ExStart, TwoWay,  ExStart,  Exchange, Loading, Full]),
            (Event::TwoWay(false),          [Down, TwoWay,  TwoWay,  ExStart,  Exchange, Loading, Full]),
            (Event::Negotiated,             [Down, Init,    TwoWay,  Exchange, Exchange, Loading, Full]),
            (Event::Exchanged(true),        [Down, Init,    TwoWay,  ExStart,  Loading,  Loading, Full]),
            (Event::Exchanged(false),       [Down, Init,    TwoWay,  ExStart,  Full,     Loading, Full]),
            (Event::Loaded,                 [Down, Init,    TwoWay,  ExStart,  Exchange, Full,    Full]),
            (Event::AdjacencyWanted(true),  [Down, Init,    ExStart, ExStart,  Exchange, Loading, Full]),
            (Event::AdjacencyWanted(false), [Down, Init,    TwoWay,  TwoWay,   TwoWay,   TwoWay,  TwoWay]),
            (Event::Mismatch,               [Down, Init,    TwoWay,  ExStart,  ExStart,  ExStart, ExStart]),
            (Event::BadRequest,             [Down, Init,    TwoWay,  ExStart,  ExStart,  ExStart, ExStart]),
            (Event::OneWay,                 [Down, Init,    Init,    Init,     Init,     Init,    Init]),
            (Event::Killed,                 [Down, Down,    Down,    Down,     Down,     Down,    Down]),
            (Event::Inactive,               [Down, Down,    Down,    Down,     Down,     Down,    Down]),
        ];
        for (event, after) in table {
            for (state, after) in [Down, Init, TwoWay, ExStart, Exchange, Loading, Full].into_iter().zip(after) {
                assert_eq!(state.after(event), after, "{}, {event:?}", state.name());
            }
        }
    }
}

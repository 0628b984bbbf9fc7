//! The interface machine (RFC 2328 §9.1 to §9.4), as far as a router of priority 0 goes, and who is DR.
//!
//! ```text
//!            up, broadcast
//!   Down ------------------> DROther
//!    | ^                        |
//!    | +--------- down ---------+
//!    |     up, point-to-point
//!    +--------------------> Point-to-point -- down --> Down
//! ```
//! Waiting, Backup and DR are not there: whoever never stands for election need not wait for one.

use super::config::Network;
use super::neighbor::{Neighbor, State as NeighborState};
use super::wire::RouterId;
use crate::base::time::Timestamp;

/// Where the interface stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum State {
    /// Nothing is sent or taken.
    #[default]
    Down,
    /// One neighbour, no DR.
    PointToPoint,
    /// Others are DR and BDR.
    DrOther,
}

/// What moves the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// InterfaceUp: the link can be spoken on.
    Up(Network),
    /// InterfaceDown: it cannot.
    Down,
}

impl State {
    /// The state after `event`.
    pub(super) const fn after(self, event: Event) -> Self {
        match (self, event) {
            (Self::Down, Event::Up(Network::Broadcast)) => Self::DrOther,
            (Self::Down, Event::Up(Network::PointToPoint)) => Self::PointToPoint,
            (Self::PointToPoint, Event::Up(_)) => Self::PointToPoint,
            (Self::DrOther, Event::Up(_)) => Self::DrOther,
            (Self::Down | Self::PointToPoint | Self::DrOther, Event::Down) => Self::Down,
        }
    }
}

/// The interface.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Interface {
    pub(super) state: State,
    pub(super) designated_router: RouterId,
    pub(super) backup_designated_router: RouterId,
    /// When a Hello was last sent.
    pub(super) last_hello: Option<Timestamp>,
    /// HelloTimer: when the next Hello is due.
    pub(super) next_hello: Option<Timestamp>,
}

impl Interface {
    /// Takes DR and BDR from what the neighbours say of themselves. True if either is another one now.
    ///
    /// It is the election of §9.4 among those who have declared themselves. A candidate that has not yet done so would not
    /// answer a database exchange, so it is waited for.
    pub(super) fn elect(&mut self, neighbors: &[Neighbor]) -> bool {
        let elected = match self.state {
            State::Down | State::PointToPoint => (RouterId::NONE, RouterId::NONE),
            State::DrOther => {
                let heard = || {
                    neighbors
                        .iter()
                        .filter(|one| one.state >= NeighborState::TwoWay && one.priority > 0)
                };
                let best = |one: &&Neighbor| (one.priority, one.router);
                let designated = heard().filter(|one| one.designated_router == one.router).max_by_key(best);
                let backup = heard()
                    .filter(|one| one.designated_router != one.router && one.backup_designated_router == one.router)
                    .max_by_key(best);
                let name = |one: Option<&Neighbor>| one.map_or(RouterId::NONE, |one| one.router);
                (name(designated), name(backup))
            }
        };
        let before = (self.designated_router, self.backup_designated_router);
        (self.designated_router, self.backup_designated_router) = elected;
        before != elected
    }

    /// True if this router forms an adjacency with `neighbor` (§10.4).
    pub(super) fn is_adjacent(&self, neighbor: RouterId) -> bool {
        match self.state {
            State::Down => false,
            State::PointToPoint => true,
            State::DrOther => [self.designated_router, self.backup_designated_router].contains(&neighbor),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advertiser::ospf::neighbor::tests::neighbor;

    #[test]
    fn every_event_in_every_state() {
        use State::{Down, DrOther, PointToPoint};
        let table = [
            (Event::Up(Network::Broadcast), [DrOther, PointToPoint, DrOther]),
            (Event::Up(Network::PointToPoint), [PointToPoint, PointToPoint, DrOther]),
            (Event::Down, [Down, Down, Down]),
        ];
        for (event, after) in table {
            for (state, after) in [Down, PointToPoint, DrOther].into_iter().zip(after) {
                assert_eq!(state.after(event), after, "{state:?}, {event:?}");
            }
        }
    }

    fn declared(router: u32, priority: u8, designated: u32, backup: u32) -> Neighbor {
        let mut one = neighbor(router, NeighborState::TwoWay);
        one.priority = priority;
        one.designated_router = RouterId(designated);
        one.backup_designated_router = RouterId(backup);
        one
    }

    #[test]
    fn dr_and_bdr_are_those_who_say_so() {
        let mut interface = Interface {
            state: State::DrOther,
            ..Interface::default()
        };
        let waiting = [declared(1, 1, 0, 0), declared(2, 9, 0, 0)];
        assert!(!interface.elect(&waiting), "nobody has said so yet");
        let settled = [declared(1, 1, 2, 1), declared(2, 9, 2, 1), declared(3, 0, 2, 1)];
        assert!(interface.elect(&settled));
        assert_eq!(
            (interface.designated_router, interface.backup_designated_router),
            (RouterId(2), RouterId(1))
        );
        assert!(interface.is_adjacent(RouterId(1)) && interface.is_adjacent(RouterId(2)) && !interface.is_adjacent(RouterId(3)));
        assert!(!interface.elect(&settled));
        let two = [declared(1, 5, 1, 0), declared(2, 5, 2, 0), declared(3, 0, 3, 0)];
        interface.elect(&two);
        assert_eq!(
            interface.designated_router,
            RouterId(2),
            "the higher router ID of the same priority"
        );
        let mut silent = declared(2, 9, 2, 0);
        silent.state = NeighborState::Init;
        interface.elect(&[silent]);
        assert_eq!(
            interface.designated_router,
            RouterId::NONE,
            "one that does not hear us is nobody's DR"
        );
    }
}

//! The group: what the other servers of the same service addresses say of their load, as plain data for the scheduler (306).
//!
//! Not who is the holder; that is the nd advertiser's. A peer that is not heard any more, or serves something else, is no member.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;

use crate::base::address::LinkLayerAddress;
use crate::base::cost::CostClass;
use crate::base::peer::{IdentityHash, Peer, PeerState};
use crate::base::time::Timestamp;

/// The living servers of the same service addresses, this one left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// What each says.
    pub others: Vec<Member>,
    /// When one of them was last seen to change its class for its load.
    pub last_move: Option<Timestamp>,
}

/// What one of the others says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Member {
    /// It attracts queries: routers with the lowest cost to it send them there.
    pub attracts: bool,
    /// Its cost class.
    pub class: CostClass,
    /// Its load in thousandths of its capacity.
    pub load: u16,
    /// Queries a second it is asked.
    pub offered: u32,
    /// Queries a second it can take; 0: not known.
    pub capacity: u32,
}

impl Group {
    /// Those that attract queries.
    pub fn attracting(&self) -> impl Iterator<Item = &Member> {
        self.others.iter().filter(|member| member.attracts)
    }
}

/// Makes a [`Group`] of the peer messages, and notes who moves.
#[derive(Clone, Debug, Default)]
pub struct GroupWatch {
    /// By identity and link-layer address: two servers may have one identity by mistake.
    classes: BTreeMap<(IdentityHash, LinkLayerAddress), CostClass>,
    last_move: Option<Timestamp>,
}

impl GroupWatch {
    /// The group at `now`, of all `peers` that serve one of `services`.
    pub fn look(&mut self, peers: &[Peer], services: &[Ipv6Addr], now: Timestamp) -> Group {
        let serves = |peer: &&Peer| peer.statement.services.iter().any(|address| services.contains(address));
        let lives = |peer: &&Peer| peer.dies_at() > now && peer.statement.state != PeerState::Gone;
        let before = std::mem::take(&mut self.classes);
        let mut others = Vec::with_capacity(peers.len());
        for peer in peers.iter().filter(serves).filter(lives) {
            let member = member(peer);
            let key = (peer.hash, peer.statement.link_layer);
            if before.get(&key).is_some_and(|class| is_move(*class, member.class)) {
                self.last_move = Some(now);
            }
            self.classes.insert(key, member.class);
            others.push(member);
        }
        Group {
            others,
            last_move: self.last_move,
        }
    }
}

fn member(peer: &Peer) -> Member {
    let said = &peer.statement;
    Member {
        attracts: said.state == PeerState::Active,
        class: CostClass::from_wire(said.class).unwrap_or(CostClass::LastResort),
        load: said.load,
        offered: said.offered,
        capacity: said.capacity,
    }
}

/// Into standby and out of it is no move: nobody has to wait for it.
fn is_move(from: CostClass, to: CostClass) -> bool {
    from != to && from != CostClass::LastResort && to != CostClass::LastResort
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::base::peer::Statement;

    const SERVICE: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 5, 0, 0, 0, 0, 0x53);

    fn peer(name: &str, class: CostClass, heard: u64) -> Peer {
        Peer {
            hash: IdentityHash::of(name),
            statement: Statement {
                identity: name.to_owned(),
                services: vec![SERVICE],
                state: PeerState::Active,
                class: class as u8,
                load: 500,
                offered: 50,
                capacity: 100,
                interval: Duration::from_millis(300),
                ..Statement::default()
            },
            boot: 1,
            source: Ipv6Addr::LOCALHOST,
            on_link: true,
            signed: false,
            last_heard: Timestamp::from_secs(heard),
        }
    }

    fn look(watch: &mut GroupWatch, peers: &[Peer], second: u64) -> Group {
        watch.look(peers, &[SERVICE], Timestamp::from_secs(second))
    }

    #[test]
    fn members_live_and_serve_the_same_addresses() {
        let mut elsewhere = peer("s4", CostClass::Normal, 10);
        elsewhere.statement.services = vec![Ipv6Addr::LOCALHOST];
        let mut gone = peer("s5", CostClass::Normal, 10);
        gone.statement.state = PeerState::Gone;
        let mut idle = peer("s3", CostClass::LastResort, 10);
        idle.statement.state = PeerState::Standby;
        let peers = [
            peer("s1", CostClass::Busy, 10),
            peer("s2", CostClass::Normal, 9),
            idle,
            elsewhere,
            gone,
        ];
        let group = look(&mut GroupWatch::default(), &peers, 10);
        assert_eq!(group.others.len(), 2, "s2 was last heard a second ago and is dead");
        let busy = Member {
            attracts: true,
            class: CostClass::Busy,
            load: 500,
            offered: 50,
            capacity: 100,
        };
        assert_eq!(group.attracting().collect::<Vec<_>>(), [&busy]);
    }

    #[test]
    fn two_servers_of_one_identity_do_not_move_by_being_two() {
        let mut other = peer("s1", CostClass::Busy, 1);
        other.statement.link_layer = LinkLayerAddress([2, 0, 0, 0, 0, 9]);
        let peers = [peer("s1", CostClass::Normal, 1), other];
        let mut watch = GroupWatch::default();
        assert_eq!(look(&mut watch, &peers, 1), look(&mut watch, &peers, 1));
        assert_eq!(look(&mut watch, &peers, 1).last_move, None);
    }

    #[test]
    fn a_move_is_a_change_for_load() {
        let mut watch = GroupWatch::default();
        let first = look(&mut watch, &[peer("s1", CostClass::Normal, 1)], 1);
        assert_eq!(first.last_move, None, "a newcomer has not moved");
        assert_eq!(look(&mut watch, &[peer("s1", CostClass::LastResort, 2)], 2).last_move, None);
        assert_eq!(
            look(&mut watch, &[peer("s1", CostClass::Busy, 3)], 3).last_move,
            None,
            "out of standby"
        );
        let moved = look(&mut watch, &[peer("s1", CostClass::Overloaded, 4)], 4);
        assert_eq!(moved.last_move, Some(Timestamp::from_secs(4)));
        let still = look(&mut watch, &[peer("s1", CostClass::Overloaded, 9)], 9);
        assert_eq!(still.last_move, Some(Timestamp::from_secs(4)));
    }
}

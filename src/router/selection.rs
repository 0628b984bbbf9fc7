//! Who of the members gets which share (claim 15: "in a predetermined way"). Pure: from standings and weights to next hops.
//!
//! Active members share the queries; standby ones are asked if nobody is active, leaving ones if nobody else is there.
//! While others serve, a leaving member gets no datagrams and the least share of the connections, so that those it has
//! do not break.

use super::config::Policy;
use super::member::{Gateway, Standing};
use super::weights;
use crate::base::address::LinkLayerAddress;
use crate::base::forwarding::{MOST_SHARE, NextHop};

/// A member as far as shares go.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    pub(super) link_layer: LinkLayerAddress,
    pub(super) gateway: Gateway,
    pub(super) standing: Standing,
    /// Its weight in force.
    pub(super) weight: f64,
}

/// The next hops of one service address, in the order of their gateways. `entry` is what the neighbour-cache entry names.
pub(super) fn select(policy: Policy, candidates: &[Candidate], entry: Option<Candidate>) -> Vec<NextHop> {
    let mut hops = match policy {
        Policy::Latest => {
            let whole = |one: &Candidate| hop(one, MOST_SHARE, MOST_SHARE);
            entry.iter().map(whole).collect()
        }
        Policy::RoundRobin => shared(candidates, |serving| vec![MOST_SHARE; serving.len()]),
        Policy::Weighted => shared(candidates, |serving| {
            weights::shares(&serving.iter().map(|one| one.weight).collect::<Vec<_>>())
        }),
    };
    hops.sort_unstable();
    hops
}

fn shared(candidates: &[Candidate], shares: impl Fn(&[Candidate]) -> Vec<u16>) -> Vec<NextHop> {
    let standing_at = |tier: &[Standing]| -> Vec<Candidate> {
        let there = candidates.iter().filter(|one| tier.contains(&one.standing));
        there.copied().collect()
    };
    let leaving = standing_at(&[Standing::Leaving]);
    let tiers = [&[Standing::Active, Standing::Inherited][..], &[Standing::Standby]];
    let serving = tiers.into_iter().map(standing_at).find(|serving| !serving.is_empty());
    let (serving, rest) = match serving {
        Some(serving) => (serving, leaving),
        None => (leaving, Vec::new()),
    };
    let shares = shares(&serving);
    let whole = serving.iter().zip(shares).map(|(one, share)| hop(one, share, share));
    whole.chain(rest.iter().map(|one| hop(one, 0, 1))).collect()
}

fn hop(one: &Candidate, datagrams: u16, connections: u16) -> NextHop {
    NextHop {
        gateway: one.gateway.address,
        made_up: one.gateway.made_up,
        link_layer: one.link_layer,
        datagrams,
        connections,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Standing::{Active, Dead, Inherited, Leaving, Out, Standby};

    fn candidate(number: u8, standing: Standing, weight: f64) -> Candidate {
        let link_layer = LinkLayerAddress([2, 0, 0, 0, 0, number]);
        let address = std::net::Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, u16::from(number));
        Candidate {
            link_layer,
            gateway: Gateway { address, made_up: false },
            standing,
            weight,
        }
    }

    fn shares(policy: Policy, members: &[(Standing, f64)]) -> Vec<(u8, u16, u16)> {
        let candidates: Vec<_> = (1..)
            .zip(members)
            .map(|(number, (standing, weight))| candidate(number, *standing, *weight))
            .collect();
        let hops = select(policy, &candidates, candidates.first().copied());
        hops.iter()
            .map(|hop| (hop.link_layer.0[5], hop.datagrams, hop.connections))
            .collect()
    }

    #[test]
    fn claim_15_members_share_in_a_predetermined_way() {
        let three = [(Active, 100.0), (Active, 200.0), (Active, 100.0)];
        assert_eq!(shares(Policy::Weighted, &three), [(1, 128, 128), (2, 256, 256), (3, 128, 128)]);
        assert_eq!(shares(Policy::RoundRobin, &three), [(1, 256, 256), (2, 256, 256), (3, 256, 256)]);
        assert_eq!(shares(Policy::Latest, &three), [(1, 256, 256)]);
    }

    #[test]
    fn active_before_standby_before_leaving() {
        type Row<'a> = (&'a [Standing], &'a [(u8, u16, u16)]);
        let rows: [Row<'_>; 9] = [
            (&[Active, Standby], &[(1, 256, 256)]),
            (&[Out, Standby, Standby], &[(2, 256, 256), (3, 256, 256)]),
            (&[Active, Leaving], &[(1, 256, 256), (2, 0, 1)]),
            (&[Standby, Leaving], &[(1, 256, 256), (2, 0, 1)]),
            (&[Leaving, Leaving, Dead], &[(1, 256, 256), (2, 256, 256)]),
            (&[Inherited, Active], &[(1, 256, 256), (2, 256, 256)]),
            (&[Inherited, Standby], &[(1, 256, 256)]),
            (&[Dead, Out], &[]),
            (&[], &[]),
        ];
        for (standings, expected) in rows {
            let members: Vec<_> = standings.iter().map(|standing| (*standing, 100.0)).collect();
            assert_eq!(shares(Policy::Weighted, &members), expected, "{standings:?}");
            assert_eq!(shares(Policy::RoundRobin, &members), expected, "{standings:?}");
        }
    }
}

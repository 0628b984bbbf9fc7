//! The routers on the link: who sent a Router Advertisement, asked for a service address, or is next hop of a default route.
//!
//! They are only needed when a take-over is not believed: then each of them is asked something that carries our address.

use std::net::Ipv6Addr;

use crate::base::address::LinkLayerAddress;
use crate::base::time::Timestamp;

/// Most routers that are kept; the one not heard for longest makes room.
const MOST_ROUTERS: usize = 32;

/// One router.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Router {
    pub(super) address: Ipv6Addr,
    pub(super) link_layer: Option<LinkLayerAddress>,
    last_heard: Timestamp,
}

/// All routers that were heard.
#[derive(Clone, Debug, Default)]
pub(super) struct Routers(Vec<Router>);

impl Routers {
    pub(super) fn iter(&self) -> impl Iterator<Item = &Router> {
        self.0.iter()
    }

    pub(super) fn learn(&mut self, address: Ipv6Addr, link_layer: Option<LinkLayerAddress>, now: Timestamp) {
        if let Some(known) = self.0.iter_mut().find(|router| router.address == address) {
            known.link_layer = link_layer.or(known.link_layer);
            known.last_heard = now;
            return;
        }
        if self.0.len() >= MOST_ROUTERS {
            let oldest = self.0.iter().enumerate().min_by_key(|(_, router)| router.last_heard);
            if let Some((index, _)) = oldest {
                self.0.swap_remove(index);
            }
        }
        self.0.push(Router {
            address,
            link_layer,
            last_heard: now,
        });
    }

    pub(super) fn forget(&mut self, address: Ipv6Addr) {
        self.0.retain(|router| router.address != address);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_router_keeps_its_link_layer_address_and_the_table_its_bound() {
        let mut routers = Routers::default();
        let address = |last: u16| Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, last);
        let mac = LinkLayerAddress([2, 0, 0, 0, 0, 1]);
        routers.learn(address(1), Some(mac), Timestamp::from_secs(1));
        routers.learn(address(1), None, Timestamp::from_secs(2));
        assert_eq!(routers.iter().map(|router| router.link_layer).collect::<Vec<_>>(), [Some(mac)]);
        for number in 2..=40 {
            routers.learn(address(number), None, Timestamp::from_secs(u64::from(number) + 2));
        }
        assert_eq!(routers.iter().count(), MOST_ROUTERS);
        assert!(routers.iter().all(|router| router.address != address(1)));
        routers.forget(address(40));
        assert_eq!(routers.iter().count(), MOST_ROUTERS - 1);
    }
}

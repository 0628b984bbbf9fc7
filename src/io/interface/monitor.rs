//! The link interface as it is now: read by netlink when the kernel rings, and each second for what nobody rings for.
//!
//! What cannot be read counts as down. The link itself is only read when it has rung: the kernel answers for a link under the one
//! lock of all its network settings (RTNL), which can be had seconds later where network namespaces come and go, and whoever
//! waits for it advertises nothing. Addresses and routes it tells without that lock, from Linux 6.9 on.

use std::net::Ipv6Addr;
use std::os::fd::{AsFd, BorrowedFd};

use super::groups;
use crate::base::address::{InterfaceIndex, ServiceAddress, is_link_local};
use crate::base::machine::InterfaceState;
use crate::io::netlink::{Address, Change, DefaultRoute, Link, Netlink, NetlinkError, Watch};

/// Reads and watches one interface. Its descriptor can be read when something may have changed.
pub struct InterfaceMonitor {
    name: String,
    groups: Vec<Ipv6Addr>,
    services: Vec<ServiceAddress>,
    netlink: Netlink,
    watch: Watch,
    /// As last read, until it rings.
    link: Option<Link>,
    state: InterfaceState,
}

impl InterfaceMonitor {
    /// Starts to watch the interface called `name`, which need not exist yet.
    ///
    /// `groups` are those that have to be held on it, `services` the addresses this host has to have.
    ///
    /// # Errors
    /// See [`NetlinkError`].
    pub fn open(name: &str, groups: &[Ipv6Addr], services: &[ServiceAddress]) -> Result<Self, NetlinkError> {
        let mut monitor = Self {
            name: name.to_owned(),
            groups: groups.to_vec(),
            services: services.to_vec(),
            netlink: Netlink::open()?,
            // Before the first reading, so that no change falls between the two.
            watch: Watch::open()?,
            link: None,
            state: InterfaceState::default(),
        };
        monitor.check()?;
        Ok(monitor)
    }

    /// The interface's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What was read last.
    #[must_use]
    pub fn state(&self) -> &InterfaceState {
        &self.state
    }

    /// Hears what the kernel has to say; reads everything again if it concerns us. True if the state is another one.
    ///
    /// # Errors
    /// See [`NetlinkError`]; the state is "down" then.
    pub fn read_changes(&mut self) -> Result<bool, NetlinkError> {
        let mut concerned = false;
        let (name, index, services) = (&self.name, self.state.index, &self.services);
        let heard = self.watch.read(|change| concerned |= concerns(&change, name, index, services));
        if let Err(error) = heard {
            self.forget();
            return Err(error);
        }
        if !concerned {
            return Ok(false);
        }
        self.link = None;
        self.update(false)
    }

    /// Reads again what nobody rings for, groups and routers, and the addresses; to be called each second. True if the
    /// state is another one.
    ///
    /// # Errors
    /// See [`NetlinkError`]; the state is "down" then.
    pub fn check(&mut self) -> Result<bool, NetlinkError> {
        self.update(true)
    }

    fn update(&mut self, with_routers: bool) -> Result<bool, NetlinkError> {
        match self.read(with_routers) {
            Ok(state) => {
                let changed = state != self.state;
                self.state = state;
                Ok(changed)
            }
            Err(error) => {
                self.forget();
                Err(error)
            }
        }
    }

    fn read(&mut self, with_routers: bool) -> Result<InterfaceState, NetlinkError> {
        let addresses = self.netlink.addresses()?;
        let has = |service: &ServiceAddress| addresses.iter().any(|found| found.address == service.get() && found.usable);
        let service_addresses_held = self.services.iter().all(has);
        let link = match self.link.take() {
            None => self.netlink.link(&self.name)?,
            known => known,
        };
        let Some(link) = link else {
            return Ok(InterfaceState {
                service_addresses_held,
                ..InterfaceState::default()
            });
        };
        let groups_held = groups::are_held(link.index, &self.groups).unwrap_or(false);
        let routes = with_routers.then(|| self.netlink.default_routes(link.index));
        let routers = match routes {
            Some(Ok(routes)) => routers(&routes),
            // Who routes is good to know, and no condition of serving.
            Some(Err(_)) | None => self.state.routers.clone(),
        };
        let state = compose(&link, &addresses, &self.services, groups_held, service_addresses_held);
        self.link = Some(link);
        Ok(InterfaceState { routers, ..state })
    }

    fn forget(&mut self) {
        self.link = None;
        self.state.up = false;
        self.state.link_local = None;
        self.state.groups_held = false;
        self.state.service_addresses_held = false;
    }
}

impl AsFd for InterfaceMonitor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.watch.as_fd()
    }
}

fn concerns(change: &Change, name: &str, index: InterfaceIndex, services: &[ServiceAddress]) -> bool {
    match change {
        Change::Link(link) | Change::LinkGone(link) => link.index == index || link.name == name,
        Change::Address(found) | Change::AddressGone(found) => {
            found.index == index || services.iter().any(|service| service.get() == found.address)
        }
        Change::Unknown => true,
    }
}

fn compose(
    link: &Link,
    addresses: &[Address],
    services: &[ServiceAddress],
    groups_held: bool,
    service_addresses_held: bool,
) -> InterfaceState {
    let usable = || {
        addresses
            .iter()
            .filter(|found| found.index == link.index && found.usable)
            .map(|found| found.address)
    };
    let is_service = |address: Ipv6Addr| services.iter().any(|service| service.get() == address);
    let mut others: Vec<Ipv6Addr> = usable()
        .filter(|address| !is_link_local(*address) && !is_service(*address))
        .collect();
    others.sort_unstable();
    InterfaceState {
        index: link.index,
        link_layer: link.link_layer,
        // The kernel lists the newest first; with several, the choice has to stay the same.
        link_local: usable().filter(|address| is_link_local(*address)).min(),
        mtu: link.mtu,
        up: link.up,
        groups_held,
        service_addresses_held,
        addresses: others,
        ..InterfaceState::default()
    }
}

/// The next hops that are on the link and can be asked there.
fn routers(routes: &[DefaultRoute]) -> Vec<Ipv6Addr> {
    let gateways = routes.iter().filter_map(|route| route.gateway);
    let mut routers: Vec<_> = gateways.filter(|gateway| is_link_local(*gateway)).collect();
    routers.sort_unstable();
    routers.dedup();
    routers
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::address::LinkLayerAddress;

    fn link() -> Link {
        Link {
            index: InterfaceIndex(4),
            name: "eth0".into(),
            link_layer: LinkLayerAddress([2, 0, 0, 0, 0, 1]),
            mtu: 1_500,
            up: true,
        }
    }

    fn address(index: u32, text: &str, usable: bool) -> Address {
        Address {
            index: InterfaceIndex(index),
            address: text.parse().unwrap(),
            prefix_length: 64,
            usable,
            origin: 0,
        }
    }

    fn service(text: &str) -> ServiceAddress {
        ServiceAddress::new(text.parse().unwrap()).unwrap()
    }

    #[test]
    fn a_tentative_link_local_address_is_none() {
        let state = compose(
            &link(),
            &[address(4, "fe80::1", false), address(5, "fe80::2", true)],
            &[],
            true,
            true,
        );
        assert_eq!(state.link_local, None);
        assert!(!state.is_usable());
        let state = compose(
            &link(),
            &[address(4, "fe80::9", true), address(4, "fe80::1", true)],
            &[],
            true,
            true,
        );
        assert_eq!(state.link_local, Some("fe80::1".parse().unwrap()));
        assert!(state.is_usable());
    }

    #[test]
    fn other_addresses_are_neither_link_local_nor_services_nor_elsewhere() {
        let found = [
            address(4, "2001:db8::9", true),
            address(4, "2001:db8::1", true),
            address(4, "fe80::1", true),
            address(4, "2001:db8:5::53", true),
            address(1, "2001:db8:7::1", true),
        ];
        let state = compose(&link(), &found, &[service("2001:db8:5::53")], true, true);
        let expected: [Ipv6Addr; 2] = ["2001:db8::1".parse().unwrap(), "2001:db8::9".parse().unwrap()];
        assert_eq!(state.addresses, expected);
    }

    #[test]
    fn routers_are_the_link_local_next_hops_each_once() {
        let route = |gateway: Option<&str>, metric| DefaultRoute {
            gateway: gateway.map(|text| text.parse().unwrap()),
            index: InterfaceIndex(4),
            metric,
        };
        let routes = [
            route(Some("fe80::9"), 1_024),
            route(None, 1),
            route(Some("2001:db8::1"), 2),
            route(Some("fe80::1"), 1_024),
            route(Some("fe80::9"), 100),
        ];
        let expected: [Ipv6Addr; 2] = ["fe80::1".parse().unwrap(), "fe80::9".parse().unwrap()];
        assert_eq!(routers(&routes), expected);
    }

    #[test]
    fn changes_elsewhere_do_not_concern_us() {
        let services = [service("2001:db8:5::53")];
        let concerned = |change| concerns(&change, "eth0", InterfaceIndex(4), &services);
        let renamed = Link {
            name: "eth7".into(),
            ..link()
        };
        let returned = Link {
            index: InterfaceIndex(9),
            ..link()
        };
        let elsewhere = Link {
            index: InterfaceIndex(9),
            ..renamed.clone()
        };
        assert!(concerned(Change::Link(link())));
        assert!(concerned(Change::Link(renamed)));
        assert!(concerned(Change::Link(returned)));
        assert!(!concerned(Change::Link(elsewhere.clone())));
        assert!(!concerned(Change::LinkGone(elsewhere)));
        assert!(concerned(Change::AddressGone(address(1, "2001:db8:5::53", true))));
        assert!(concerned(Change::Address(address(4, "2001:db8::7", true))));
        assert!(!concerned(Change::Address(address(1, "2001:db8::7", true))));
        assert!(concerned(Change::Unknown));
    }

    #[test]
    fn an_interface_that_does_not_exist_has_index_zero_and_is_down() {
        let monitor = InterfaceMonitor::open("no-such-link", &[], &[]).unwrap();
        assert_eq!(monitor.state().index, InterfaceIndex(0));
        assert!(!monitor.state().up && !monitor.state().groups_held);
    }

    #[test]
    fn a_service_address_that_no_interface_has_is_not_held() {
        let monitor = InterfaceMonitor::open("lo", &[], &[service("2001:db8:ffff::53")]).unwrap();
        assert!(!monitor.state().service_addresses_held);
        assert!(InterfaceMonitor::open("lo", &[], &[]).unwrap().state().service_addresses_held);
    }
}

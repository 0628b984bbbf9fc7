//! The service addresses on `lo`: `/128`, valid forever, never tentative, deprecated so that the kernel does not choose
//! them as the source of this host's own traffic.
//!
//! Who put an address there decides who may take it away. Ours carry an origin mark that the kernel keeps for us
//! (`IFA_PROTO`, since Linux 5.18), so what a crash has left behind is recognised; an older kernel keeps no mark, and
//! then such an address counts as the administrator's and stays. Addresses that are deleted by hand are not put back.

use std::time::Duration;

use rustix::io::Errno;

use crate::base::address::{InterfaceIndex, ServiceAddress};
use crate::io::clock;
use crate::io::netlink::{Address, Netlink, NetlinkError};
use crate::io::route;

const LOOPBACK: &str = "lo";
/// Time for new addresses to work; the kernel needs some milliseconds.
const SETTLED: Duration = Duration::from_millis(200);
/// Our mark, `H`. The kernel's own are 1 to 3; `ip -6 address show dev lo` prints it as `proto 0x48`.
const MARK: u8 = 0x48;

/// Who put a service address on this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// We did, now.
    Placed,
    /// We did, in an earlier run that ended without taking it away.
    Recovered,
    /// The administrator. It is used and never removed.
    Administrator,
}

/// A service address that this host has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// The address.
    pub address: ServiceAddress,
    /// Who put it there.
    pub origin: Origin,
    /// The interface that has it: `lo`, or any other for an administrator's. On the link interface itself the kernel
    /// answers solicitations for it, whatever the service's health: worth a warning.
    pub index: InterfaceIndex,
    /// That interface is `lo`.
    pub on_loopback: bool,
}

/// Why a service address is not on this host.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// There is no `lo`.
    #[error("this host has no interface 'lo' to put {0} on")]
    NoLoopback(ServiceAddress),
    /// The capability is missing.
    #[error(
        "putting {0} on 'lo' needs the capability CAP_NET_ADMIN: start as root, or with AmbientCapabilities=CAP_NET_ADMIN \
         (systemd) or --cap-add=NET_ADMIN (containers); or put it there yourself: ip -6 address add {0}/128 dev lo nodad preferred_lft 0"
    )]
    MissingCapability(ServiceAddress),
    /// IPv6 is switched off.
    #[error("IPv6 is switched off on 'lo', so that {0} cannot be put there: sysctl net.ipv6.conf.lo.disable_ipv6=0")]
    Ipv6Disabled(ServiceAddress),
    /// Anything else.
    #[error(transparent)]
    Netlink(#[from] NetlinkError),
}

/// The service addresses as they were found or put on this host.
pub struct AddressHolder {
    netlink: Netlink,
    held: Vec<Held>,
    brought_up: bool,
    /// The kernel keeps origin marks; without them only our memory tells what we put there.
    keeps_marks: bool,
}

impl AddressHolder {
    /// Sees to it that this host has all `addresses`; has to be done before anything is announced.
    ///
    /// A `lo` that is down (a new network namespace) is brought up: nothing that is sent to an address on it is
    /// delivered before. What is placed works when this returns, or 200 ms have passed.
    ///
    /// # Errors
    /// The first address that could not be put there, and the cure. None of ours is left behind then.
    pub fn place(addresses: &[ServiceAddress]) -> Result<Self, PlaceError> {
        let mut holder = Self {
            netlink: Netlink::open()?,
            held: Vec::new(),
            brought_up: false,
            keeps_marks: true,
        };
        let Some(first) = addresses.first() else {
            return Ok(holder);
        };
        let lo = holder.netlink.link(LOOPBACK)?.ok_or(PlaceError::NoLoopback(*first))?;
        if !lo.up {
            holder.netlink.bring_up(lo.index).map_err(|error| place_error(*first, error))?;
            holder.brought_up = true;
        }
        let present = holder.netlink.addresses()?;
        for address in addresses {
            if let Err(error) = holder.place_one(*address, lo.index, &present) {
                holder.take_back();
                return Err(error);
            }
        }
        let limit = clock::now() + SETTLED;
        for held in holder.placed() {
            // If it does not work in time, the self-probe finds it.
            let _works = route::delivers(held.address.get(), limit);
        }
        let now = holder.netlink.addresses()?;
        let is_marked = |held: &Held| now.iter().any(|found| found.address == held.address.get() && found.origin == MARK);
        let keeps_marks = holder.placed().all(is_marked);
        holder.keeps_marks = keeps_marks;
        Ok(holder)
    }

    /// The addresses, in the order they were given.
    #[must_use]
    pub fn held(&self) -> &[Held] {
        &self.held
    }

    /// `lo` was down and had to be brought up: worth a line in the log.
    #[must_use]
    pub fn brought_loopback_up(&self) -> bool {
        self.brought_up
    }

    /// Takes away what we put there, now or in an earlier run, and nothing else: an address that was deleted and put back by
    /// hand is the administrator's. The last step of a shutdown.
    ///
    /// # Errors
    /// The last address that could not be removed; the others are gone. One that was removed by hand is no error.
    pub fn remove(mut self) -> Result<(), NetlinkError> {
        let addresses: Vec<ServiceAddress> = self.held.iter().map(|held| held.address).collect();
        if self.keeps_marks {
            return remove_marked(&mut self.netlink, &addresses);
        }
        let mut result = Ok(());
        for held in self.held.iter().filter(|held| held.origin == Origin::Placed) {
            result = result.and(delete(&mut self.netlink, held.index, held.address));
        }
        result
    }

    /// Takes away what this run put there. What an earlier run has left stays: its process may live.
    pub fn take_back(&mut self) {
        for held in self.held.iter().filter(|held| held.origin == Origin::Placed) {
            // The error that brought us here is the one to tell.
            let _ = delete(&mut self.netlink, held.index, held.address);
        }
    }

    /// Takes away those of `addresses` that carry our mark: what a process that was killed has left.
    ///
    /// # Errors
    /// As [`AddressHolder::remove`].
    pub fn clear_up(addresses: &[ServiceAddress]) -> Result<(), NetlinkError> {
        remove_marked(&mut Netlink::open()?, addresses)
    }

    /// Those that this run has put there.
    fn placed(&self) -> impl Iterator<Item = &Held> {
        self.held.iter().filter(|held| held.origin == Origin::Placed)
    }

    fn place_one(&mut self, address: ServiceAddress, lo: InterfaceIndex, present: &[Address]) -> Result<(), PlaceError> {
        if let Some(found) = present.iter().find(|found| found.address == address.get()) {
            let ours = found.index == lo && found.origin == MARK;
            let origin = if ours { Origin::Recovered } else { Origin::Administrator };
            self.held.push(Held {
                address,
                origin,
                index: found.index,
                on_loopback: found.index == lo,
            });
            return Ok(());
        }
        let origin = match self.netlink.add_service_address(lo, address.get(), MARK) {
            Ok(()) => Origin::Placed,
            // Somebody was faster.
            Err(NetlinkError::Refused { errno: Errno::EXIST, .. }) => Origin::Administrator,
            Err(error) => return Err(place_error(address, error)),
        };
        self.held.push(Held {
            address,
            origin,
            index: lo,
            on_loopback: true,
        });
        Ok(())
    }
}

fn remove_marked(netlink: &mut Netlink, addresses: &[ServiceAddress]) -> Result<(), NetlinkError> {
    let present = netlink.addresses()?;
    let mut result = Ok(());
    for address in addresses {
        let marked = present.iter().find(|found| found.address == address.get() && found.origin == MARK);
        if let Some(found) = marked {
            result = result.and(delete(netlink, found.index, *address));
        }
    }
    result
}

fn delete(netlink: &mut Netlink, index: InterfaceIndex, address: ServiceAddress) -> Result<(), NetlinkError> {
    match netlink.delete_service_address(index, address.get()) {
        Err(NetlinkError::Refused {
            errno: Errno::ADDRNOTAVAIL | Errno::NODEV,
            ..
        }) => Ok(()),
        result => result,
    }
}

fn place_error(address: ServiceAddress, error: NetlinkError) -> PlaceError {
    match error {
        NetlinkError::Refused { errno: Errno::PERM, .. } => PlaceError::MissingCapability(address),
        NetlinkError::Refused { errno: Errno::ACCESS, .. } => PlaceError::Ipv6Disabled(address),
        other => PlaceError::Netlink(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::netlink::Request;

    #[test]
    fn nothing_to_hold_needs_no_privileges() {
        let holder = AddressHolder::place(&[]).unwrap();
        assert!(holder.held().is_empty() && !holder.brought_loopback_up());
        holder.remove().unwrap();
    }

    #[test]
    fn errors_say_the_cure() {
        let address = ServiceAddress::new("2001:db8:5::53".parse().unwrap()).unwrap();
        let refused = |errno| NetlinkError::Refused {
            request: Request::AddAddress(address.get()),
            errno,
        };
        let cures = [
            (Errno::PERM, "CAP_NET_ADMIN"),
            (Errno::ACCESS, "disable_ipv6=0"),
            (Errno::NOBUFS, "adding 2001:db8:5::53"),
        ];
        for (errno, cure) in cures {
            let text = place_error(address, refused(errno)).to_string();
            assert!(text.contains(cure), "{text}");
        }
    }
}

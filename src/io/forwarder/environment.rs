//! Whether this host can do what the forwarder is for: kernel, capability, settings.

use std::fs;

use rustix::io::Errno;

use super::ForwarderError;
use super::message::{NextHopMessage, Verb};
use crate::base::forwarding::Grouping;
use crate::io::capability::{self, Capability};
use crate::io::netlink::{Netlink, NetlinkError, Request};

/// By what flows are told apart.
pub(super) const HASH_POLICY: &str = "/proc/sys/net/ipv6/fib_multipath_hash_policy";
const FORWARDING: &str = "/proc/sys/net/ipv6/conf/all/forwarding";

/// The right to change routes.
pub(super) fn check_capability() -> Result<(), ForwarderError> {
    match capability::missing(&[Capability::NetAdmin]).first() {
        Some(missing) => Err(ForwarderError::Capability(*missing)),
        None => Ok(()),
    }
}

/// Next hop objects, and resilient groups if they are to be used.
pub(super) fn check_kernel(netlink: &mut Netlink, grouping: Grouping) -> Result<(), ForwarderError> {
    let lacks = |error: &NetlinkError| matches!(error, NetlinkError::Refused { errno, .. } if *errno == Errno::OPNOTSUPP);
    if let Err(error) = netlink.dump(Request::NextHops, NextHopMessage::new(Verb::Get, 0, 0)) {
        return Err(if lacks(&error) {
            ForwarderError::Kernel {
                what: "next hop objects",
                since: "5.3",
                instead: "",
            }
        } else {
            error.into()
        });
    }
    if grouping == Grouping::Plain {
        return Ok(());
    }
    if let Err(error) = netlink.dump(Request::Buckets, NextHopMessage::new(Verb::GetBuckets, 0, 0)) {
        return Err(if lacks(&error) {
            ForwarderError::Kernel {
                what: "resilient next hop groups",
                since: "5.13",
                instead: "; without, group = \"plain\" works and breaks TCP connections when shares change",
            }
        } else {
            error.into()
        });
    }
    Ok(())
}

/// By the ports (1), or as an administrator has said in detail (3).
pub(super) fn set_hash_policy() -> Result<(), ForwarderError> {
    let found = fs::read_to_string(HASH_POLICY).unwrap_or_default();
    if matches!(found.trim(), "1" | "3") {
        return Ok(());
    }
    fs::write(HASH_POLICY, "1").map_err(|source| ForwarderError::HashPolicy {
        found: found.trim().to_owned(),
        source,
    })
}

/// What hinders, but can be put right later.
pub(super) fn warnings() -> Vec<String> {
    let forwards = fs::read_to_string(FORWARDING).is_ok_and(|value| value.trim() != "0");
    let silent = "this host does not forward IPv6: 'sysctl -w net.ipv6.conf.all.forwarding=1' makes it a router";
    if forwards { Vec::new() } else { vec![silent.to_owned()] }
}

//! The multicast groups that the kernel holds on an interface, as `/proc/net/igmp6` tells them.
//!
//! No netlink message tells that a group was lost (an MTU below 1280 takes them all away), so this is read each second.

use std::net::Ipv6Addr;
use std::{fs, io};

use crate::base::address::InterfaceIndex;

/// Of the calling thread's network namespace, whatever the process's is.
const FILE: &str = "/proc/thread-self/net/igmp6";

/// True if the kernel holds every one of `groups` on the interface.
///
/// # Errors
/// That the kernel's list cannot be read.
pub(super) fn are_held(index: InterfaceIndex, groups: &[Ipv6Addr]) -> io::Result<bool> {
    let text = fs::read_to_string(FILE)?;
    let held: Vec<Ipv6Addr> = text
        .lines()
        .filter_map(parse_line)
        .filter(|line| line.0 == index)
        .map(|line| line.1)
        .collect();
    Ok(groups.iter().all(|group| held.contains(group)))
}

/// Reads one line: index, name, group in hex, users, flags, timer.
fn parse_line(line: &str) -> Option<(InterfaceIndex, Ipv6Addr)> {
    let mut fields = line.split_ascii_whitespace();
    let index = fields.next()?.parse().ok()?;
    let group = fields.nth(1).filter(|digits| digits.len() == 32)?;
    Some((InterfaceIndex(index), Ipv6Addr::from_bits(u128::from_str_radix(group, 16).ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_kernels_list_are_read() {
        let group: Ipv6Addr = "ff02::1:ff00:53".parse().unwrap();
        let line = "2    eth0            ff0200000000000000000001ff000053     1 00000004 0";
        assert_eq!(parse_line(line), Some((InterfaceIndex(2), group)));
        for other in [
            "",
            "2",
            "2 eth0",
            "2 eth0 ff02",
            "x eth0 ff0200000000000000000001ff000053 1",
            "2 eth0 gg0200000000000000000001ff000053",
        ] {
            assert_eq!(parse_line(other), None, "{other}");
        }
    }

    #[test]
    fn the_loopback_interface_holds_all_nodes_and_no_other_group() {
        let all_nodes: Ipv6Addr = crate::base::address::ALL_NODES;
        let lo = InterfaceIndex(nix::net::if_::if_nametoindex("lo").unwrap());
        assert!(are_held(lo, &[]).unwrap());
        assert!(are_held(lo, &[all_nodes]).unwrap());
        assert!(!are_held(lo, &[all_nodes, "ff02::dead:beef".parse().unwrap()]).unwrap());
        assert!(!are_held(InterfaceIndex(0), &[all_nodes]).unwrap());
    }
}

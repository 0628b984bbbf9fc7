//! The capabilities that parts of the program need when it does not run as root (capabilities(7)).

use std::fmt;

use caps::{CapSet, has_cap};

/// A capability that a part of the program needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Capability {
    /// Raw and packet sockets: Neighbor Discovery, OSPFv3.
    NetRaw,
    /// Addresses, routes, neighbours: the service address on `lo`, the router side.
    NetAdmin,
    /// Ports below 1024.
    NetBindService,
}

impl Capability {
    /// Its name, as systemd writes it. Containers leave out the `CAP_`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NetRaw => "CAP_NET_RAW",
            Self::NetAdmin => "CAP_NET_ADMIN",
            Self::NetBindService => "CAP_NET_BIND_SERVICE",
        }
    }

    const fn kernel(self) -> caps::Capability {
        match self {
            Self::NetRaw => caps::Capability::CAP_NET_RAW,
            Self::NetAdmin => caps::Capability::CAP_NET_ADMIN,
            Self::NetBindService => caps::Capability::CAP_NET_BIND_SERVICE,
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// Makes those usable that this process may have and does not use yet, as after the start of a file with `setcap ...=p`: such a file
/// starts without them too, where one with `=ep` would not. What the kernel refuses stays [`missing`], and is told there.
///
/// Capabilities belong to threads: so, before any other thread.
pub fn take_permitted() {
    for capability in [Capability::NetRaw, Capability::NetAdmin, Capability::NetBindService] {
        let kernel = capability.kernel();
        if has_cap(None, CapSet::Permitted, kernel).unwrap_or(false) {
            let _missing_then = caps::raise(None, CapSet::Effective, kernel);
        }
    }
}

/// Those of `wanted` that this thread cannot use now; one that cannot be asked for counts as missing.
#[must_use]
pub fn missing(wanted: &[Capability]) -> Vec<Capability> {
    let is_missing = |wanted: &Capability| !has_cap(None, CapSet::Effective, wanted.kernel()).unwrap_or(false);
    wanted.iter().copied().filter(is_missing).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_capability_is_missing() {
        // In a thread of its own: capabilities belong to threads.
        let gone = std::thread::spawn(|| {
            caps::drop(None, CapSet::Effective, caps::Capability::CAP_NET_RAW).unwrap();
            missing(&[Capability::NetRaw])
        });
        assert_eq!(gone.join().unwrap(), [Capability::NetRaw]);
        assert_eq!(missing(&[]), []);
    }

    #[test]
    fn what_is_permitted_is_taken_and_nothing_else() {
        let usable = std::thread::spawn(|| {
            let raw = caps::Capability::CAP_NET_RAW;
            let permitted = has_cap(None, CapSet::Permitted, raw).unwrap();
            caps::drop(None, CapSet::Effective, raw).unwrap();
            take_permitted();
            (permitted, missing(&[Capability::NetRaw]).is_empty())
        });
        let (permitted, usable) = usable.join().unwrap();
        assert_eq!(permitted, usable);
    }
}

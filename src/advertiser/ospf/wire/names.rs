//! The numbers that name things in OSPF, as types of their own: routers, areas, interfaces, options (RFC 5340 A.2).

use std::fmt;
use std::net::Ipv4Addr;

/// A router's name: unique among all routers of the network. Written like an IPv4 address, and none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouterId(pub u32);

impl RouterId {
    /// No router.
    pub const NONE: Self = Self(0);
}

impl fmt::Display for RouterId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ipv4Addr::from(self.0).fmt(formatter)
    }
}

/// An area's name; 0.0.0.0 is the backbone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AreaId(pub u32);

impl fmt::Display for AreaId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ipv4Addr::from(self.0).fmt(formatter)
    }
}

/// A router's number of one of its interfaces: here the kernel's index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InterfaceId(pub u32);

/// What a router can do, and what its area is: 24 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Options(u32);

impl Options {
    /// V6: included in IPv6 routing calculations.
    pub const V6: Self = Self(0x01);
    /// E: the area takes AS-External-LSAs.
    pub const E: Self = Self(0x02);
    /// N: the area takes NSSA-LSAs.
    pub const N: Self = Self(0x08);
    /// R: an active router; clear: a host that is no way through.
    pub const R: Self = Self(0x10);
    /// AT: packets carry an authentication trailer.
    pub const AT: Self = Self(0x400);

    /// The low 24 bits.
    #[must_use]
    pub const fn new(bits: u32) -> Self {
        Self(bits & 0x00ff_ffff)
    }

    /// All 24 bits.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Both.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// True if every bit of `other` is set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

//! What resolvers ask a registry: names at or below its hosts and delegations, a few that are not there. Which zone it is
//! makes no difference but for the numbers in the names.

use heraldns::base::random::Random;

use super::random_label;
use crate::question::{A, AAAA, DS, MX, NS, TXT};

/// How many names a zone has, and how they are written.
pub(super) struct Registry {
    /// `dom0` and so on.
    pub(super) delegations: u64,
    /// `host0` and so on.
    pub(super) hosts: u64,
    /// Of each number.
    pub(super) digits: usize,
}

impl Registry {
    /// 60 % A and 20 % AAAA of names at or below any host or delegation, 8 % other types of delegations, 7 % A below
    /// delegations, 5 % of names that are not there.
    pub(super) fn question(&self, random: &mut Random) -> (String, u16) {
        match random.below(100) {
            0..60 => (self.any(random), A),
            60..80 => (self.any(random), AAAA),
            80..82 => (self.delegation(random), DS),
            82..84 => (self.delegation(random), MX),
            84..86 => (self.delegation(random), NS),
            86..88 => (self.delegation(random), TXT),
            88..95 => (format!("www.{}", self.delegation(random)), A),
            _ => (random_label(random), A),
        }
    }

    fn any(&self, random: &mut Random) -> String {
        let digits = self.digits;
        match random.below(self.delegations + self.hosts) {
            number if number < self.hosts => format!("host{number:0digits$}"),
            number if number % 2 == 0 => format!("dom{:0digits$}", number - self.hosts),
            number => format!("www.dom{:0digits$}", number - self.hosts),
        }
    }

    fn delegation(&self, random: &mut Random) -> String {
        format!("dom{:0digits$}", random.below(self.delegations), digits = self.digits)
    }
}

//! Route cost classes, and what each makes of the configured cost (claims 11 to 13).
//!
//! Few and far apart: each change of a cost moves all of a router's flows. When a class changes is the scheduler's business.

use std::fmt;

/// Route cost classes, the best first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum CostClass {
    /// The configured cost.
    #[default]
    Normal = 0,
    /// Load is near the capacity.
    Busy = 1,
    /// Load is above the capacity.
    Overloaded = 2,
    /// Only when nobody else is left: idle standby, drain, stop. Never load alone.
    LastResort = 3,
}

/// The cost of [`CostClass::LastResort`], unless a higher one is configured for all.
pub const LAST_RESORT: u16 = 60_000;

impl CostClass {
    /// Every class there is.
    pub const ALL: [Self; 4] = [Self::Normal, Self::Busy, Self::Overloaded, Self::LastResort];

    /// The class with this number on the wire.
    #[must_use]
    pub fn from_wire(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|class| *class as u8 == number)
    }

    /// The route cost of this class where `normal` is configured.
    #[must_use]
    pub fn cost(self, normal: u32) -> u32 {
        match self {
            Self::Normal => normal,
            Self::Busy => normal.saturating_add(10),
            Self::Overloaded => normal.saturating_add(100),
            Self::LastResort => normal.saturating_add(101).max(LAST_RESORT.into()),
        }
    }

    /// The class's name in `status` and `explain`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Busy => "busy",
            Self::Overloaded => "overloaded",
            Self::LastResort => "last-resort",
        }
    }
}

impl fmt::Display for CostClass {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_class_costs_more_than_the_one_before() {
        assert_eq!(CostClass::ALL.map(|class| class.cost(10)), [10, 20, 110, 60_000]);
        for normal in [1, 10, 59_950, 65_000] {
            assert!(
                CostClass::ALL.is_sorted_by(|one, other| one.cost(normal) < other.cost(normal)),
                "{normal}"
            );
        }
    }

    #[test]
    fn numbers_on_the_wire_are_those_of_the_peer_message() {
        let read: Vec<_> = (0..5).map(CostClass::from_wire).collect();
        assert_eq!(read[..4], CostClass::ALL.map(Some));
        assert_eq!(read[4], None);
    }
}

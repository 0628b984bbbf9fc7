//! Counts by cause: how often each of a fixed set of named things happened.
//!
//! The names are literals in the code, so the table cannot grow with what the network sends.

/// Counts by cause, in the order in which the causes first happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally(Vec<(&'static str, u64)>);

impl Tally {
    /// Counts one more of `cause`.
    pub fn count(&mut self, cause: &'static str) {
        match self.0.iter_mut().find(|(name, _)| *name == cause) {
            Some((_, count)) => *count += 1,
            None => self.0.push((cause, 1)),
        }
    }

    /// How often `cause` happened.
    #[must_use]
    pub fn of(&self, cause: &str) -> u64 {
        self.0.iter().find(|(name, _)| *name == cause).map_or(0, |(_, count)| *count)
    }

    /// All causes that ever happened, with their counts.
    #[must_use]
    pub fn entries(&self) -> &[(&'static str, u64)] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cause_has_its_own_count() {
        let mut tally = Tally::default();
        ["one", "two", "one"].into_iter().for_each(|cause| tally.count(cause));
        assert_eq!(tally.entries(), [("one", 2), ("two", 1)]);
        assert_eq!((tally.of("one"), tally.of("three")), (2, 0));
    }
}

//! What a call of the forwarder has changed, for the log.

use std::fmt;

use super::plan::Step;

/// What was changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// The link is down or absent: the kernel takes no next hops, and the rest waits.
    pub waiting: bool,
    /// Next hops that the kernel does not take; `Forwarder::refused` says which. The others are in place.
    pub refused: usize,
    /// Next hops made and removed.
    pub next_hops: Changes,
    /// Neighbours set and removed.
    pub neighbors: Changes,
    /// Groups made or replaced, and removed.
    pub groups: Changes,
    /// Routes made or replaced, and removed.
    pub routes: Changes,
    /// Rules made and removed.
    pub rules: Changes,
}

/// How many of one kind were changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Made, or made different.
    pub set: usize,
    /// Removed.
    pub removed: usize,
}

impl Applied {
    /// The kernel is not as it was before.
    #[must_use]
    pub fn is_change(&self) -> bool {
        let Self { waiting, refused, .. } = *self;
        *self
            != Self {
                waiting,
                refused,
                ..Self::default()
            }
    }

    pub(super) fn count(&mut self, step: &Step) {
        let (changes, is_removed) = match step {
            Step::AddNextHop { .. } => (&mut self.next_hops, false),
            Step::SetNeighbor { .. } => (&mut self.neighbors, false),
            Step::AddGroup { .. } | Step::ReplaceGroup { .. } => (&mut self.groups, false),
            Step::AddRoute(_) | Step::ReplaceRoute(_) => (&mut self.routes, false),
            Step::AddRule(_) => (&mut self.rules, false),
            Step::RemoveRule(_) => (&mut self.rules, true),
            Step::RemoveRoute(_) => (&mut self.routes, true),
            Step::RemoveGroup { .. } => (&mut self.groups, true),
            Step::RemoveNextHop { .. } => (&mut self.next_hops, true),
            Step::RemoveNeighbor { .. } => (&mut self.neighbors, true),
        };
        if is_removed {
            changes.removed += 1;
        } else {
            changes.set += 1;
        }
    }
}

impl fmt::Display for Applied {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds = [
            ("next hops", self.next_hops),
            ("neighbours", self.neighbors),
            ("groups", self.groups),
            ("routes", self.routes),
            ("rules", self.rules),
        ];
        let mut parts = Vec::new();
        for (kind, changes) in kinds {
            match changes {
                Changes { set: 0, removed: 0 } => {}
                Changes { set, removed: 0 } => parts.push(format!("{kind}: {set} set")),
                Changes { set: 0, removed } => parts.push(format!("{kind}: {removed} removed")),
                Changes { set, removed } => parts.push(format!("{kind}: {set} set, {removed} removed")),
            }
        }
        if self.refused > 0 {
            parts.push(format!("next hops: {} refused", self.refused));
        }
        if self.waiting {
            parts.push("waiting for the link".to_owned());
        }
        formatter.write_str(if parts.is_empty() { "nothing" } else { "" })?;
        formatter.write_str(&parts.join("; "))
    }
}

//! Checks of the finished zone: what an operator probably did not mean, and resolvers stumble over.
//!
//! All findings are warnings: a zone is not withheld because one of its many records is odd. What makes a zone unfit to be
//! served is the builder's question. Beside most checks stands another server's checker that makes it too; where they differ,
//! `tests/data/zones/verdicts.txt` says why this one does what it does.

mod data;
mod denial;
mod keys;
mod names;
mod sizes;
mod targets;

pub(super) use keys::key_tag;

use super::problem::Problems;
use super::records::Records;
use super::store::Zone;

/// Looks at all records of the zone that were made from `records`.
pub(super) fn check(zone: &Zone, records: &Records<'_>, problems: &mut Problems) {
    let mut names = names::Names::default();
    let mut sizes = sizes::Sizes::default();
    for record in records.iter() {
        names.check(&record, problems);
        sizes.check(&record, problems);
        targets::check(zone, &record, problems);
        data::check(zone, &record, problems);
        keys::check(zone, &record, problems);
        denial::check(zone, &record, problems);
    }
    sizes.finish(problems);
}

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
use super::records::{Record, Records};
use super::store::Zone;
use crate::dns::name;

/// Looks at all records of the zone that were made from `records`.
pub(super) fn check(zone: &Zone, records: &Records, problems: &mut Problems) {
    let is_inside = |record: &Record<'_>| name::is_subdomain(record.owner, zone.apex().as_wire());
    let mut names = names::Names::default();
    for record in records.iter().filter(is_inside) {
        names.check(&record, problems);
        targets::check(zone, &record, problems);
        data::check(zone, &record, problems);
        keys::check(zone, &record, problems);
        denial::check(zone, &record, problems);
    }
    sizes::check(zone, records, problems);
}

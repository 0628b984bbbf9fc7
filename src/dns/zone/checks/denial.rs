//! Can the zone prove what is not there? The parameters of its NSEC3 chain, and owners that are no hashes.

use crate::dns::name;
use crate::dns::types::RecordType;
use crate::dns::zone::nsec3::{DenialChain, Parameters, is_hash};
use crate::dns::zone::problem::Problems;
use crate::dns::zone::records::Record;
use crate::dns::zone::store::Zone;

/// Many validating resolvers take a zone with more NSEC3 iterations for an unsigned one (RFC 9276 §3.2, appendix A), and each costs every
/// negative answer up to four SHA-1 hashes. Such a zone is served all the same.
const MAX_ITERATIONS: u16 = 100;

/// Looks at an NSEC3PARAM or NSEC3 record.
pub(super) fn check(zone: &Zone, record: &Record<'_>, problems: &mut Problems) {
    match record.record_type {
        RecordType::NSEC3PARAM => check_parameters(zone, record, problems),
        RecordType::NSEC3 => check_owner(zone, record, problems),
        _ => {}
    }
}

fn check_parameters(zone: &Zone, record: &Record<'_>, problems: &mut Problems) {
    let is_nsec3 = matches!(zone.denial_chain(), Some(DenialChain::Nsec3(_)));
    let mut warn = |message: String, cure: &str| problems.warning(record.place, message, cure);
    let Some(parameters) = Parameters::of_usable_nsec3param(record.rdata) else {
        return warn(
            "NSEC3PARAM with an unknown hash algorithm or flag: no server uses it".to_owned(),
            "write hash algorithm 1 and flags 0 (RFC 5155 section 4.1)",
        );
    };
    if parameters.iterations > MAX_ITERATIONS {
        let message = format!(
            "{} iterations of NSEC3: many resolvers take the zone for unsigned",
            parameters.iterations
        );
        warn(message, "sign it with 0 iterations and no salt (RFC 9276 section 3.1)");
    }
    if !is_nsec3 {
        warn(
            "NSEC3PARAM without an NSEC3 record of the zone's own name with these parameters".to_owned(),
            "sign the zone again, or remove the record",
        );
    }
}

fn check_owner(zone: &Zone, record: &Record<'_>, problems: &mut Problems) {
    let label = name::labels(record.owner).next().unwrap_or_default();
    let is_below_apex = name::parent(record.owner).is_some_and(|parent| name::equal(parent, zone.apex().as_wire()));
    if !is_below_apex || !is_hash(label) {
        let message = format!("NSEC3 of {}, which is no hashed name of this zone", name::display(record.owner));
        problems.warning(record.place, message, "sign the zone again (RFC 5155 section 3)");
    }
}

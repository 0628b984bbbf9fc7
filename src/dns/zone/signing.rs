//! Is a signed zone signed as a whole, and still? Times, keys and labels of its signatures, and the chain that denies.
//!
//! For `check-zone`; a server looks only at the times, and serves what it has. All findings are warnings, by name and
//! without a line. Signatures are not verified.

use jiff::Timestamp;

use super::block::Rrset;
use super::checks::key_tag;
use super::nsec3::{DenialChain, Nsec3, Nsec3Chain};
use super::problem::{Place, Problems, ZoneError};
use super::rdata::append_bitmap;
use super::store::{Node, NodeKind, Zone};
use crate::dns::name::{self, MAX_NAME};
use crate::dns::types::RecordType;

const SIGN_AGAIN: &str = "sign the zone again";
/// So many hashes are made to look whether each name has its NSEC3 record: some seconds.
const MOST_HASHES: u64 = 50_000_000;
/// The opt-out flag of an NSEC3 record (RFC 5155 §3.1.2.1).
const OPT_OUT: u8 = 1;

/// Looks at the signatures of `zone` as they are `now`, and at its chain of NSEC or NSEC3 records.
#[must_use]
pub fn check_signing(zone: &Zone, file_name: &str, now: Timestamp) -> Vec<ZoneError> {
    let mut problems = Problems::default();
    problems.add_file(file_name);
    if !is_signed(zone) {
        return problems.into_list();
    }
    let mut warn = |message: String, cure: &str| problems.warning(Place::default(), message, cure);
    check_signatures(zone, now, &mut warn);
    match zone.denial_chain() {
        None => warn("no NSEC record of the zone's own name, and no NSEC3 chain".to_owned(), SIGN_AGAIN),
        Some(DenialChain::Nsec) => check_nsec(zone, &mut warn),
        Some(DenialChain::Nsec3(chain)) => check_nsec3(zone, chain, &mut warn),
    }
    problems.into_list()
}

/// Looks only for signatures of `zone` that are out of time `now`: to resolvers that validate, it is not there any more.
#[must_use]
pub fn check_times(zone: &Zone, file_name: &str, now: Timestamp) -> Vec<ZoneError> {
    let mut problems = Problems::default();
    problems.add_file(file_name);
    if is_signed(zone) {
        let mut times = Times::at(now);
        for node in zone.nodes() {
            for rrset in node.rrsets() {
                let signatures = rrset.signatures().filter_map(Signature::read);
                signatures.for_each(|signature| times.add(node, &rrset, &signature));
            }
        }
        times.tell(&mut |message, cure| problems.warning(Place::default(), message, cure));
    }
    problems.into_list()
}

fn is_signed(zone: &Zone) -> bool {
    zone.soa().signatures().next().is_some() || zone.denial_chain().is_some()
}

/// The head of an RRSIG (RFC 4034 §3.1).
struct Signature<'z> {
    algorithm: u8,
    labels: u8,
    expiration: u32,
    inception: u32,
    key_tag: u16,
    signer: &'z [u8],
}

impl<'z> Signature<'z> {
    fn read(rdata: &'z [u8]) -> Option<Self> {
        let number = |at: usize| Some(u32::from_be_bytes(*rdata.get(at..)?.first_chunk()?));
        let signer = rdata.get(18..)?;
        Some(Self {
            algorithm: *rdata.get(2)?,
            labels: *rdata.get(3)?,
            expiration: number(8)?,
            inception: number(12)?,
            key_tag: u16::from_be_bytes(*rdata.get(16..)?.first_chunk()?),
            signer: &signer[..name::wire_length(signer)?],
        })
    }
}

/// Of the signatures with one fault: how many, and the first one.
#[derive(Default)]
struct Tally<'z> {
    count: usize,
    first: Option<(Node<'z>, RecordType, u32)>,
}

impl<'z> Tally<'z> {
    fn add(&mut self, node: Node<'z>, record_type: RecordType, time: u32) {
        self.count += 1;
        self.first.get_or_insert((node, record_type, time));
    }

    fn tell(&self, of: usize, what: &str, warn: &mut dyn FnMut(String, &str)) {
        let Some((node, record_type, time)) = self.first else { return };
        let time = Timestamp::from_second(time.into()).map_or_else(|_| time.to_string(), |time| time.to_string());
        let message = format!(
            "{} of {of} signatures {what}, that of {} {record_type} on {time}",
            self.count,
            name::display(node.name())
        );
        warn(message, SIGN_AGAIN);
    }
}

/// Which signatures are out of time.
struct Times<'z> {
    /// In seconds that wrap (RFC 4034 §3.1.5).
    now: u32,
    count: usize,
    expired: Tally<'z>,
    early: Tally<'z>,
}

impl<'z> Times<'z> {
    fn at(now: Timestamp) -> Self {
        Self {
            now: (now.as_second() & i64::from(u32::MAX)) as u32,
            count: 0,
            expired: Tally::default(),
            early: Tally::default(),
        }
    }

    fn add(&mut self, node: Node<'z>, rrset: &Rrset<'z>, signature: &Signature<'z>) {
        // what is less than half of all away is ahead
        let is_before = |one: u32, other: u32| (other.wrapping_sub(one) as i32) > 0;
        self.count += 1;
        if is_before(signature.expiration, self.now) {
            self.expired.add(node, rrset.record_type(), signature.expiration);
        } else if is_before(self.now, signature.inception) {
            self.early.add(node, rrset.record_type(), signature.inception);
        }
    }

    fn tell(&self, warn: &mut dyn FnMut(String, &str)) {
        self.expired.tell(self.count, "have expired", warn);
        self.early.tell(self.count, "are not valid yet", warn);
    }
}

fn check_signatures(zone: &Zone, now: Timestamp, warn: &mut impl FnMut(String, &str)) {
    let keys: Vec<(u16, u8)> = zone
        .apex_node()
        .rrset(RecordType::DNSKEY)
        .into_iter()
        .flat_map(|keys| keys.records().filter_map(|key| Some((key_tag(key), *key.get(3)?))))
        .collect();
    if keys.is_empty() {
        warn(
            "signatures, and no DNSKEY to verify them with".to_owned(),
            "add the zone's keys, or remove the signatures",
        );
    }
    let mut times = Times::at(now);
    for node in zone.nodes() {
        for rrset in node.rrsets() {
            let shown = || format!("{} {}", name::display(node.name()), rrset.record_type());
            for signature in rrset.signatures().filter_map(Signature::read) {
                times.add(node, &rrset, &signature);
                if !name::equal(signature.signer, zone.apex().as_wire()) {
                    warn(
                        format!("signature of {} by {}", shown(), name::display(signature.signer)),
                        SIGN_AGAIN,
                    );
                } else if !keys.is_empty() && !keys.contains(&(signature.key_tag, signature.algorithm)) {
                    let (tag, algorithm) = (signature.key_tag, signature.algorithm);
                    warn(
                        format!(
                            "signature of {} by a key with tag {tag} and algorithm {algorithm}, which the zone has not",
                            shown()
                        ),
                        "add the DNSKEY, or sign the zone again",
                    );
                }
                if usize::from(signature.labels) != signed_labels(node.name()) {
                    warn(
                        format!("signature of {} for a name of {} labels", shown(), signature.labels),
                        SIGN_AGAIN,
                    );
                }
            }
            if must_be_signed(node, &rrset) && rrset.signatures().next().is_none() {
                warn(format!("{} has no signature", shown()), SIGN_AGAIN);
            }
        }
    }
    times.tell(warn);
}

/// Labels of a name as its signature counts them: without the root's and a wildcard's (RFC 4034 §3.1.3).
fn signed_labels(owner: &[u8]) -> usize {
    name::count_labels(owner) - usize::from(owner.starts_with(b"\x01*"))
}

/// All that the zone says with authority (RFC 4035 §2.2).
fn must_be_signed(node: Node<'_>, rrset: &Rrset<'_>) -> bool {
    match node.kind() {
        NodeKind::Authoritative => true,
        NodeKind::Delegation => matches!(rrset.record_type(), RecordType::DS | RecordType::NSEC),
        NodeKind::EmptyNonTerminal | NodeKind::Occluded => false,
    }
}

/// The bitmap that the record which denies other types at `node` must have.
fn bitmap_of(node: Node<'_>) -> Vec<u8> {
    let is_said = |rrset: &Rrset<'_>| match node.kind() {
        NodeKind::Delegation => matches!(rrset.record_type(), RecordType::NS | RecordType::DS | RecordType::NSEC),
        _ => true,
    };
    let mut types: Vec<u16> = node.rrsets().filter(is_said).map(|rrset| rrset.record_type().0).collect();
    if node.rrsets().filter(is_said).any(|rrset| rrset.signatures().next().is_some()) {
        types.push(RecordType::RRSIG.0);
    }
    let mut bitmap = Vec::new();
    append_bitmap(types, &mut bitmap);
    bitmap
}

fn has_records_of_its_own(node: &Node<'_>) -> bool {
    matches!(node.kind(), NodeKind::Authoritative | NodeKind::Delegation)
}

/// Each name with records has an NSEC record that leads to the next one and says the types (RFC 4035 §2.3).
fn check_nsec(zone: &Zone, warn: &mut impl FnMut(String, &str)) {
    let is_name = |node: &Node<'_>| zone.node(name::lower_into(node.name(), &mut [0; MAX_NAME])).is_some();
    let chain: Vec<Node<'_>> = zone.nodes().filter(|node| has_records_of_its_own(node) && is_name(node)).collect();
    let following = chain.iter().skip(1).chain(chain.first());
    for (node, next) in chain.iter().zip(following) {
        let shown = name::display(node.name());
        let Some(rdata) = node.rrset(RecordType::NSEC).and_then(|rrset| rrset.records().next()) else {
            warn(format!("{shown} has no NSEC record"), SIGN_AGAIN);
            continue;
        };
        let (said, bitmap) = rdata.split_at(name::wire_length(rdata).unwrap_or(0));
        if !name::equal(said, next.name()) {
            let message = format!(
                "NSEC of {shown} leads to {}, and the next name is {}",
                name::display(said),
                name::display(next.name())
            );
            warn(message, SIGN_AGAIN);
        }
        if bitmap != bitmap_of(*node) {
            warn(format!("NSEC of {shown} says other types than there are"), SIGN_AGAIN);
        }
    }
}

/// The hashes are a ring, and each name but those that opt-out leaves out has one that says the types (RFC 5155 §7.1).
fn check_nsec3(zone: &Zone, chain: &Nsec3Chain, warn: &mut impl FnMut(String, &str)) {
    let records: Vec<_> = chain.records(zone).collect();
    let following = records.iter().skip(1).chain(records.first());
    for ((_, node), (next, _)) in records.iter().zip(following) {
        if denial_of(*node).is_none_or(|denial| denial.next != next) {
            warn(
                format!("NSEC3 of {} does not lead to the next hash", name::display(node.name())),
                SIGN_AGAIN,
            );
        }
    }
    if zone.node_count() as u64 * (u64::from(chain.iterations()) + 1) > MOST_HASHES {
        let message = "whether each name has its NSEC3 record is not checked: the iterations are too many";
        return warn(message.to_owned(), "sign it with 0 iterations and no salt (RFC 9276 section 3.1)");
    }
    for node in zone.nodes() {
        let is_hashed = node.rrset(RecordType::NSEC3).is_some();
        if node.kind() == NodeKind::Occluded || is_hashed {
            continue;
        }
        let shown = name::display(node.name());
        let is_insecure =
            node.kind() == NodeKind::EmptyNonTerminal || (node.kind() == NodeKind::Delegation && node.rrset(RecordType::DS).is_none());
        match zone.nsec3(chain, name::lower_into(node.name(), &mut [0; MAX_NAME])) {
            Nsec3::Matching(record) if denial_of(record).is_some_and(|denial| denial.bitmap == bitmap_of(node)) => {}
            Nsec3::Matching(_) => warn(format!("NSEC3 of {shown} says other types than there are"), SIGN_AGAIN),
            Nsec3::Covering(record) if is_insecure && denial_of(record).is_some_and(|denial| denial.opt_out) => {}
            Nsec3::Covering(_) => warn(format!("{shown} has no NSEC3 record"), SIGN_AGAIN),
        }
    }
}

/// What an NSEC3 record says.
struct Denial<'z> {
    opt_out: bool,
    next: &'z [u8],
    bitmap: &'z [u8],
}

fn denial_of(node: Node<'_>) -> Option<Denial<'_>> {
    let rdata = node.rrset(RecordType::NSEC3)?.records().next()?;
    let (salt_length, rest) = rdata.get(4..)?.split_first()?;
    let (next_length, rest) = rest.get(usize::from(*salt_length)..)?.split_first()?;
    let (next, bitmap) = rest.split_at_checked(usize::from(*next_length))?;
    Some(Denial {
        opt_out: rdata[1] & OPT_OUT != 0,
        next,
        bitmap,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::zone;

    #[test]
    fn times_wrap_in_the_year_2106() {
        // From half a minute before the wrap to half a minute after it.
        let text = "$TTL 60\n@ SOA . . 1 2 3 4 5\n@ NS .\n@ RRSIG SOA 13 1 60 30 4294967266 1 example. AAAA\n";
        let loaded = zone::load(&"example.".parse().unwrap(), "a.zone", text.as_bytes(), &mut |_| Err(String::new()));
        let zone = loaded.unwrap().zone;
        let told = |second: i64| {
            let warnings = check_times(&zone, "a.zone", Timestamp::from_second((1 << 32) + second).unwrap());
            warnings.first().map_or(String::new(), |warning| warning.message.clone())
        };
        assert_eq!((told(-30), told(0), told(30)), (String::new(), String::new(), String::new()));
        assert!(told(-31).starts_with("1 of 1 signatures are not valid yet"), "{}", told(-31));
        assert!(told(31).starts_with("1 of 1 signatures have expired"), "{}", told(31));
    }
}

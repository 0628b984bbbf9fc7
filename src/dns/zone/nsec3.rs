//! The NSEC3 chain of a zone: the hashes of its names in order, found by binary search (RFC 5155 §3, §5).
//!
//! Made once, when the zone is. What a matching or covering record proves is decided in `answer`, and nothing here checks
//! that the chain is whole: signatures and chain come with the zone file. The iterations cost a query their SHA-1 each,
//! up to four times; a zone with many is served all the same, with the warning that `checks` gives.

use ring::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY, SHA1_OUTPUT_LEN};

use super::rdata::read_base32hex;
use super::store::{Node, Zone};
use crate::dns::name;
use crate::dns::types::RecordType;

/// The only hash algorithm there is (RFC 5155 §11).
const SHA1: u8 = 1;

/// A hashed name.
pub type Nsec3Hash = [u8; SHA1_OUTPUT_LEN];

/// How a signed zone proves what is not there.
#[derive(Debug)]
pub enum DenialChain {
    /// By NSEC records at the names themselves (RFC 4034 §4).
    Nsec,
    /// By NSEC3 records at hashes of the names (RFC 5155).
    Nsec3(Nsec3Chain),
}

/// The chain that an NSEC3PARAM record of the apex names, and which has a record for the apex.
#[derive(Debug)]
pub struct Nsec3Chain {
    iterations: u16,
    salt: Box<[u8]>,
    /// In order; the one at `index` is the owner of the zone's node `first + index`, counted in the zone's order.
    hashes: Box<[Nsec3Hash]>,
    first: usize,
}

/// Which NSEC3 record says something about a name (RFC 5155 §1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nsec3<'z> {
    /// This one is the name's own.
    Matching(Node<'z>),
    /// The name has none, and its hash lies between this one's and the next.
    Covering(Node<'z>),
}

impl Nsec3Chain {
    /// The hash of a lower-cased wire name (RFC 5155 §5).
    #[must_use]
    pub fn hash(&self, lower_wire_name: &[u8]) -> Nsec3Hash {
        hash(self.iterations, &self.salt, lower_wire_name)
    }

    /// How many times a hash is hashed again.
    pub(super) fn iterations(&self) -> u16 {
        self.iterations
    }

    /// All hashes in order, each with the node of its record in `zone`, whose chain this is.
    pub(super) fn records<'z>(&self, zone: &'z Zone) -> impl Iterator<Item = (Nsec3Hash, Node<'z>)> {
        let nodes = zone.order[self.first..].iter().map(|at| zone.at(*at));
        self.hashes.iter().copied().zip(nodes)
    }

    /// Octets of memory.
    pub(super) fn octets(&self) -> usize {
        self.salt.len() + size_of_val(&*self.hashes)
    }

    /// The node of the record that matches or covers this lower-cased wire name of `zone`, whose chain this is.
    pub(super) fn find<'z>(&self, zone: &'z Zone, lower_wire_name: &[u8]) -> Nsec3<'z> {
        let node = |index| zone.at(zone.order[self.first + index]);
        match self.hashes.binary_search(&self.hash(lower_wire_name)) {
            Ok(index) => Nsec3::Matching(node(index)),
            Err(0) => Nsec3::Covering(node(self.hashes.len() - 1)),
            Err(index) => Nsec3::Covering(node(index - 1)),
        }
    }
}

/// The fields that NSEC3PARAM and NSEC3 begin with (RFC 5155 §3.1, §4.1).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Parameters<'r> {
    algorithm: u8,
    pub(super) iterations: u16,
    salt: &'r [u8],
}

impl<'r> Parameters<'r> {
    /// Those of an NSEC3PARAM that a server may use: none with another algorithm or unknown flags (RFC 5155 §4.1.2).
    pub(super) fn of_usable_nsec3param(rdata: &'r [u8]) -> Option<Self> {
        let (parameters, flags) = Self::read(rdata)?;
        (parameters.algorithm == SHA1 && flags == 0).then_some(parameters)
    }

    fn read(rdata: &'r [u8]) -> Option<(Self, u8)> {
        let [algorithm, flags, high, low, salt_length, rest @ ..] = rdata else {
            return None;
        };
        let parameters = Self {
            algorithm: *algorithm,
            iterations: u16::from_be_bytes([*high, *low]),
            salt: rest.get(..usize::from(*salt_length))?,
        };
        Some((parameters, *flags))
    }
}

/// Finds how the finished nodes of `zone` deny; those of the NSEC3 chain go before the NSEC3 records of other chains.
pub(super) fn take_chain(zone: &mut Zone) -> Option<DenialChain> {
    let parameters = zone.apex_node().rrset(RecordType::NSEC3PARAM);
    let rdata = parameters.into_iter().flat_map(|rrset| rrset.records().map(<[u8]>::to_vec));
    let candidates: Vec<Vec<u8>> = rdata.collect();
    let mut usable = candidates.iter().filter_map(|rdata| Parameters::of_usable_nsec3param(rdata));
    if let Some(chain) = usable.find_map(|parameters| nsec3_chain(zone, parameters)) {
        return Some(DenialChain::Nsec3(chain));
    }
    zone.apex_node().rrset(RecordType::NSEC).map(|_| DenialChain::Nsec)
}

fn nsec3_chain(zone: &mut Zone, parameters: Parameters<'_>) -> Option<Nsec3Chain> {
    let first = zone.name_count as usize;
    let owners = &zone.order[first..];
    let chain = Nsec3Chain {
        iterations: parameters.iterations,
        salt: parameters.salt.into(),
        hashes: owners.iter().filter_map(|at| hash_of(zone.at(*at), parameters)).collect(),
        first,
    };
    let apex = chain.hash(&zone.apex.as_wire().to_ascii_lowercase());
    chain.hashes.binary_search(&apex).ok()?;
    if chain.hashes.len() < owners.len() {
        let (own, others): (Vec<u32>, Vec<u32>) = owners.iter().partition(|at| hash_of(zone.at(**at), parameters).is_some());
        let sorted: Vec<u32> = own.into_iter().chain(others).collect();
        zone.order[first..].copy_from_slice(&sorted);
    }
    Some(chain)
}

/// True for a label that is a hash as NSEC3 records have it for their owner.
pub(super) fn is_hash(label: &[u8]) -> bool {
    let mut hash = Vec::with_capacity(SHA1_OUTPUT_LEN);
    read_base32hex(label, &mut hash).is_some() && hash.len() == SHA1_OUTPUT_LEN
}

/// The hash in this node's name, if it has an NSEC3 record with these parameters.
fn hash_of(node: Node<'_>, parameters: Parameters<'_>) -> Option<Nsec3Hash> {
    let rrset = node.rrset(RecordType::NSEC3)?;
    let mut of_record = rrset.records().filter_map(Parameters::read);
    of_record.find(|(of_record, _)| *of_record == parameters)?;
    let mut hash = Vec::with_capacity(SHA1_OUTPUT_LEN);
    read_base32hex(name::labels(node.name()).next()?, &mut hash)?;
    hash.try_into().ok()
}

fn hash(iterations: u16, salt: &[u8], lower_wire_name: &[u8]) -> Nsec3Hash {
    let mut hash = salted(lower_wire_name, salt);
    for _ in 0..iterations {
        hash = salted(&hash, salt);
    }
    hash
}

fn salted(octets: &[u8], salt: &[u8]) -> Nsec3Hash {
    let mut context = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    context.update(octets);
    context.update(salt);
    let mut hash = [0; SHA1_OUTPUT_LEN];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::name::Name;
    use crate::dns::zone;

    /// The names and hashes of RFC 5155, Appendix A: 12 iterations, salt AABBCCDD.
    #[test]
    fn hashes_of_rfc_5155() {
        let rows = [
            ("example.", "0P9MHAVEQVM6T7VBL5LOP2U3T2RP3TOM"),
            ("a.example.", "35MTHGPGCU1QG68FAB165KLNSNK3DPVL"),
            ("*.w.example.", "R53BQ7CC2UVMUBFU5OCMM6PERS9TK9EN"),
            ("x.y.w.example.", "2VPTU5TIMAMQTTGL4LUU9KG21E0AOR3S"),
        ];
        for (text, expected) in rows {
            let (wire, mut octets) = (text.parse::<Name>().unwrap(), Vec::new());
            read_base32hex(expected.as_bytes(), &mut octets).unwrap();
            assert_eq!(hash(12, &[0xaa, 0xbb, 0xcc, 0xdd], wire.as_wire()), octets[..], "{text}");
        }
    }

    const HEAD: &str = "$TTL 60\n@ SOA . . 1 2 3 4 5\n@ NS .\n@ NSEC3PARAM 1 0 12 AABBCCDD\n";
    /// Hashes of `example.`, `a.example.` and `ns1.example.`, by the RFC's parameters.
    const CHAIN: &str = "0P9MHAVEQVM6T7VBL5LOP2U3T2RP3TOM NSEC3 1 1 12 AABBCCDD 2T7B4G4VSA5SMI47K61MV5BV1A22BOJR NS SOA\n\
                         2t7b4g4vsa5smi47k61mv5bv1a22bojr NSEC3 1 1 12 aabbccdd 35MTHGPGCU1QG68FAB165KLNSNK3DPVL A\n\
                         35MTHGPGCU1QG68FAB165KLNSNK3DPVL NSEC3 1 1 12 AABBCCDD 0P9MHAVEQVM6T7VBL5LOP2U3T2RP3TOM NS\n";

    fn load(text: &str) -> Zone {
        let loaded = zone::load(&"example.".parse().unwrap(), "a.zone", text.as_bytes(), &mut |_| Err(String::new()));
        loaded.unwrap().zone
    }

    fn find(zone: &Zone, name: &str) -> Option<(bool, String)> {
        let Some(DenialChain::Nsec3(chain)) = zone.denial_chain() else {
            return None;
        };
        let found = chain.find(zone, name.parse::<Name>().unwrap().as_wire());
        let (is_matching, node) = match found {
            Nsec3::Matching(node) => (true, node),
            Nsec3::Covering(node) => (false, node),
        };
        let label = name::labels(node.name()).next().unwrap();
        Some((is_matching, String::from_utf8_lossy(&label[..4]).to_string()))
    }

    #[test]
    fn the_chain_is_a_ring_of_hashes() {
        let zone = load(&format!("{HEAD}{CHAIN}"));
        assert_eq!(find(&zone, "example."), Some((true, "0P9M".into())));
        assert_eq!(
            find(&zone, "ns1.example."),
            Some((true, "2t7b".into())),
            "owners are compared without case"
        );
        assert_eq!(find(&zone, "x.y.w.example."), Some((false, "2t7b".into())));
        assert_eq!(find(&zone, "*.w.example."), Some((false, "35MT".into())), "after the last one");
        assert!(
            zone.node(zone.nodes().last().unwrap().name()).is_none(),
            "an owner of NSEC3 is no name"
        );
    }

    #[test]
    fn only_the_chain_that_the_apex_names_counts() {
        let other = CHAIN.replace("AABBCCDD", "-").replace("aabbccdd", "-");
        let other = other.replace("\n2t7b", "\n1t7b").replace("\n35MT", "\n35MA");
        let both = load(&format!("{HEAD}{CHAIN}{}", &other[other.find('\n').unwrap() + 1..]));
        assert_eq!(both.nodes().len(), 6);
        assert_eq!(find(&both, "ns1.example."), Some((true, "2t7b".into())));
        assert_eq!(find(&both, "x.y.w.example."), Some((false, "2t7b".into())));
        assert!(load(&format!("{HEAD}{other}")).denial_chain().is_none(), "other parameters");
        let flagged = HEAD.replace("NSEC3PARAM 1 0", "NSEC3PARAM 1 1");
        assert!(load(&format!("{flagged}{CHAIN}")).denial_chain().is_none(), "unknown flags");
        assert!(load(HEAD).denial_chain().is_none(), "no chain at all");
        let nsec = format!("{HEAD}@ NSEC example. NS SOA NSEC\n");
        assert!(matches!(load(&nsec).denial_chain(), Some(DenialChain::Nsec)));
    }
}

//! The zones of a server, found by the deepest apex.

use std::sync::Arc;

use super::store::{Zone, index_of};
use super::table::{Bucket, NameHash, NameTable};
use crate::dns::name::{self, LabelStarts, Name};

/// All zones that a server answers for.
#[derive(Clone, Debug, Default)]
pub struct ZoneSet {
    zones: Vec<Arc<Zone>>,
    table: NameTable,
    /// A bit for each number of labels that an apex has.
    depths: u128,
}

/// The zone of a name, and what a lookup there will read first, so that it can be fetched while others are served.
///
/// A question is often for a name that the zone has, and as often for one below a zone cut right under its apex.
#[derive(Clone, Copy, Debug)]
pub struct Located<'z> {
    /// The zone with the deepest apex at or above the name.
    pub zone: &'z Zone,
    /// The hash of the name.
    pub hash: NameHash,
    below_apex: NameHash,
    /// The cache lines of the hash table for the whole name, and for the name one label below the apex if that is another.
    pub buckets: [Option<&'z Bucket>; 2],
}

impl<'z> Located<'z> {
    /// The blocks that these buckets most likely lead to.
    pub fn blocks(&self) -> impl Iterator<Item = &'z [u8]> {
        let pairs = self.buckets.into_iter().zip([self.hash, self.below_apex]);
        pairs.filter_map(|(bucket, hash)| self.zone.likely_block(bucket?, hash))
    }
}

impl ZoneSet {
    /// A set of zones. Of several zones with one name the last one stays.
    #[must_use]
    pub fn new(zones: Vec<Arc<Zone>>) -> Self {
        let mut kept: Vec<Arc<Zone>> = Vec::with_capacity(zones.len());
        let mut table = NameTable::with_capacity(zones.len());
        let mut depths = 0;
        for zone in zones {
            let same = |index| kept[index as usize].apex == zone.apex;
            match table.find(zone.apex_hash, same) {
                Some(index) => kept[index as usize] = zone,
                None => {
                    depths |= 1 << zone.apex.labels().count();
                    table.insert(zone.apex_hash, index_of(kept.len()));
                    kept.push(zone);
                }
            }
        }
        Self {
            zones: kept,
            table,
            depths,
        }
    }

    /// The zone with the deepest apex at or above this lower-cased wire name.
    #[must_use]
    pub fn find(&self, lower_wire_name: &[u8]) -> Option<&Arc<Zone>> {
        self.descend(lower_wire_name, &mut LabelStarts::of(lower_wire_name))
    }

    /// From the root down, as far as there are zones.
    fn descend(&self, lower_wire_name: &[u8], starts: &mut LabelStarts) -> Option<&Arc<Zone>> {
        let (mut start, mut hash, mut depths) = (starts.end(), NameHash::ROOT, self.depths);
        let mut found = None;
        while depths != 0 {
            if depths & 1 != 0 {
                found = self.exactly(&lower_wire_name[start..], hash).or(found);
            }
            depths >>= 1;
            let end = start;
            match starts.pop() {
                Some(next) => start = next,
                None => break,
            }
            hash = hash.child(&lower_wire_name[start..end]);
        }
        found
    }

    /// The zone with the deepest apex strictly above this lower-cased wire name: where the DS of an apex lives.
    #[must_use]
    pub fn find_above(&self, lower_wire_name: &[u8]) -> Option<&Arc<Zone>> {
        self.find(name::parent(lower_wire_name)?)
    }

    /// The zone with exactly this name.
    #[must_use]
    pub fn get(&self, apex: &Name) -> Option<&Arc<Zone>> {
        let lower = apex.as_wire().to_ascii_lowercase();
        self.exactly(&lower, NameHash::of(&lower))
    }

    /// All zones.
    pub fn zones(&self) -> impl ExactSizeIterator<Item = &Arc<Zone>> {
        self.zones.iter()
    }

    /// Where this lower-cased wire name would be; none if no zone has it.
    #[must_use]
    pub fn locate(&self, lower_wire_name: &[u8]) -> Option<Located<'_>> {
        let starts = LabelStarts::of(lower_wire_name);
        let zone: &Zone = self.descend(lower_wire_name, &mut starts.clone())?;
        let mut end = lower_wire_name.len() - zone.apex.as_wire().len();
        let (mut hash, mut below_apex) = (zone.apex_hash, zone.apex_hash);
        for start in starts.up_to(end) {
            hash = hash.child(&lower_wire_name[start..end]);
            if below_apex == zone.apex_hash {
                below_apex = hash;
            }
            end = start;
        }
        let other = (below_apex != hash).then(|| zone.bucket(below_apex)).flatten();
        Some(Located {
            zone,
            hash,
            below_apex,
            buckets: [zone.bucket(hash), other],
        })
    }

    fn exactly(&self, lower_wire_name: &[u8], hash: NameHash) -> Option<&Arc<Zone>> {
        let is_it = |index| {
            let zone: &Zone = &self.zones[index as usize];
            name::equal(zone.apex.as_wire(), lower_wire_name)
        };
        let index = self.table.find(hash, is_it)?;
        self.zones.get(index as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::zone::load;

    fn wire(text: &str) -> Vec<u8> {
        text.parse::<Name>().unwrap().as_wire().to_vec()
    }

    fn zone(apex: &str) -> Arc<Zone> {
        let text = &b"@ 60 SOA . . 1 2 3 4 5\n@ 60 NS .\n"[..];
        Arc::new(
            load(&apex.parse().unwrap(), "a.zone", text, &mut |_| Err(String::new()))
                .unwrap()
                .zone,
        )
    }

    #[test]
    fn the_deepest_zone_is_found() {
        let set = ZoneSet::new(vec![zone("example."), zone("Sub.example.")]);
        let find = |name: &str| set.find(&wire(name)).map(|zone| zone.apex().to_lower().to_string());
        assert_eq!(find("a.sub.example."), Some("sub.example.".to_owned()));
        assert_eq!(find("sub.example."), Some("sub.example.".to_owned()));
        assert_eq!(find("a.example."), Some("example.".to_owned()));
        assert_eq!(find("example.net."), None);
        assert_eq!(set.find_above(&wire("sub.example.")).unwrap().apex(), &"example.".parse().unwrap());
        assert!(set.find_above(&wire("example.")).is_none());
        assert!(set.get(&"SUB.example.".parse().unwrap()).is_some() && set.get(&"a.example.".parse().unwrap()).is_none());
    }

    #[test]
    fn what_a_lookup_will_read_is_found_before() {
        let set = ZoneSet::new(vec![zone("example.")]);
        let blocks = |name: &str| {
            let located = set.locate(&wire(name)).unwrap();
            let apex = wire("example.");
            located.blocks().filter(|block| block[4..].starts_with(&apex)).count()
        };
        assert_eq!((blocks("example."), blocks("a.example."), blocks("b.a.example.")), (1, 0, 0));
        assert_eq!(set.locate(&wire("a.example.")).unwrap().buckets.iter().flatten().count(), 1);
        assert_eq!(set.locate(&wire("b.a.example.")).unwrap().buckets.iter().flatten().count(), 2);
        assert!(set.locate(&wire("a.")).is_none());
    }

    #[test]
    fn the_root_zone_is_above_everything() {
        let root = ZoneSet::new(vec![zone(".")]);
        assert!(root.find(&wire("a.b.")).is_some() && root.find(&[0]).is_some());
        assert!(root.find_above(&[0]).is_none());
    }

    #[test]
    fn of_two_zones_with_one_name_the_last_stays() {
        let (one, two) = (zone("example."), zone("EXAMPLE."));
        let set = ZoneSet::new(vec![one, two.clone()]);
        assert_eq!(set.zones().len(), 1);
        assert!(Arc::ptr_eq(set.get(two.apex()).unwrap(), &two));
    }
}

//! The zones of a server, found by the deepest apex.

use std::sync::Arc;

use super::store::{Zone, index_of};
use super::table::{Bucket, NameHash, NameTable};
use crate::dns::name::{self, LabelStarts, Name};

/// All zones that a server answers for.
#[derive(Clone, Debug, Default)]
pub struct ZoneSet {
    zones: Vec<Arc<Zone>>,
    /// In lower case; the table numbers them on from the zones.
    unloaded: Vec<Name>,
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
        Self::with_unloaded(zones, Vec::new())
    }

    /// A set of zones, and of the names of those that this server is to have and has not. No other zone speaks for what is
    /// at or below such a name: a parent would deny all of it.
    #[must_use]
    pub fn with_unloaded(zones: Vec<Arc<Zone>>, unloaded: Vec<Name>) -> Self {
        let mut set = Self {
            zones: Vec::with_capacity(zones.len()),
            unloaded: Vec::with_capacity(unloaded.len()),
            table: NameTable::with_capacity(zones.len() + unloaded.len()),
            depths: 0,
        };
        for zone in zones {
            match set.number_of(zone.apex.as_wire(), zone.apex_hash) {
                Some(number) => set.zones[number as usize] = zone,
                None => {
                    set.enter(&zone.apex, zone.apex_hash, set.zones.len());
                    set.zones.push(zone);
                }
            }
        }
        for name in unloaded {
            let name = name.to_lower();
            let hash = NameHash::of(name.as_wire());
            if set.number_of(name.as_wire(), hash).is_none() {
                set.enter(&name, hash, set.zones.len() + set.unloaded.len());
                set.unloaded.push(name);
            }
        }
        set
    }

    fn enter(&mut self, apex: &Name, hash: NameHash, number: usize) {
        self.depths |= 1 << apex.labels().count();
        self.table.insert(hash, index_of(number));
    }

    /// The zone with the deepest apex at or above this lower-cased wire name; none if that one is not loaded.
    #[must_use]
    pub fn find(&self, lower_wire_name: &[u8]) -> Option<&Arc<Zone>> {
        self.zone(self.descend(lower_wire_name, &mut LabelStarts::of(lower_wire_name))?)
    }

    /// True if the zone with the deepest apex at or above this lower-cased wire name is not loaded.
    #[must_use]
    pub fn lacks(&self, lower_wire_name: &[u8]) -> bool {
        // Asked for each name that is refused: with all zones loaded, it costs nothing.
        if self.unloaded.is_empty() {
            return false;
        }
        let found = self.descend(lower_wire_name, &mut LabelStarts::of(lower_wire_name));
        found.is_some_and(|number| self.zone(number).is_none())
    }

    /// The names of the zones that are not loaded, in lower case.
    #[must_use]
    pub fn unloaded(&self) -> &[Name] {
        &self.unloaded
    }

    /// From the root down, as far as there are zones: the number of the deepest one.
    fn descend(&self, lower_wire_name: &[u8], starts: &mut LabelStarts) -> Option<u32> {
        let (mut start, mut hash, mut depths) = (starts.end(), NameHash::ROOT, self.depths);
        let mut found = None;
        while depths != 0 {
            if depths & 1 != 0 {
                found = self.number_of(&lower_wire_name[start..], hash).or(found);
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
        self.zone(self.number_of(&lower, NameHash::of(&lower))?)
    }

    /// All zones.
    pub fn zones(&self) -> impl ExactSizeIterator<Item = &Arc<Zone>> {
        self.zones.iter()
    }

    /// Where this lower-cased wire name would be; none if no zone has it, or one that is not loaded.
    #[must_use]
    pub fn locate(&self, lower_wire_name: &[u8]) -> Option<Located<'_>> {
        let starts = LabelStarts::of(lower_wire_name);
        let zone: &Zone = self.zone(self.descend(lower_wire_name, &mut starts.clone())?)?;
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

    /// The number in the table of the zone with exactly this name.
    fn number_of(&self, wire_name: &[u8], hash: NameHash) -> Option<u32> {
        self.table.find(hash, |number| name::equal(self.apex(number).as_wire(), wire_name))
    }

    fn apex(&self, number: u32) -> &Name {
        match self.zone(number) {
            Some(zone) => &zone.apex,
            None => &self.unloaded[number as usize - self.zones.len()],
        }
    }

    /// The zone with this number; none if it is not loaded.
    fn zone(&self, number: u32) -> Option<&Arc<Zone>> {
        self.zones.get(number as usize)
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
    fn a_zone_that_is_not_loaded_hides_the_one_above_it() {
        let unloaded = ["Sub.example.", "other.", "EXAMPLE."].map(|name| name.parse().unwrap()).to_vec();
        let set = ZoneSet::with_unloaded(vec![zone("example."), zone("b.sub.example.")], unloaded);
        let find = |name: &str| set.find(&wire(name)).map(|zone| zone.apex().to_string());
        for (name, found, is_lacking) in [
            ("example.", Some("example."), false),
            ("a.example.", Some("example."), false),
            ("sub.example.", None, true),
            ("a.sub.example.", None, true),
            ("b.sub.example.", Some("b.sub.example."), false),
            ("a.b.sub.example.", Some("b.sub.example."), false),
            ("other.", None, true),
            ("elsewhere.", None, false),
        ] {
            assert_eq!(find(name).as_deref(), found, "{name}");
            assert_eq!(set.locate(&wire(name)).is_some(), found.is_some(), "{name}");
            assert_eq!(set.lacks(&wire(name)), is_lacking, "{name}");
        }
        assert_eq!(set.find_above(&wire("sub.example.")).unwrap().apex(), &"example.".parse().unwrap());
        assert!(set.get(&"sub.example.".parse().unwrap()).is_none());
        assert_eq!((set.zones().len(), set.unloaded().len()), (2, 2), "what is loaded is not lacking");
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

//! The zones of a server, found by the deepest apex.

use std::sync::Arc;

use super::store::{Zone, index_of};
use super::table::{NameHash, NameTable};
use crate::dns::name::{self, Name};

/// All zones that a server answers for.
#[derive(Clone, Debug, Default)]
pub struct ZoneSet {
    zones: Vec<Arc<Zone>>,
    table: NameTable,
}

impl ZoneSet {
    /// A set of zones. Of several zones with one name the last one stays.
    #[must_use]
    pub fn new(zones: Vec<Arc<Zone>>) -> Self {
        let mut kept: Vec<Arc<Zone>> = Vec::with_capacity(zones.len());
        let mut table = NameTable::with_capacity(zones.len());
        for zone in zones {
            let lower = zone.apex.as_wire().to_ascii_lowercase();
            let same = |index| kept[index as usize].apex == zone.apex;
            match table.find(NameHash::of(&lower), same) {
                Some(index) => kept[index as usize] = zone,
                None => {
                    table.insert(NameHash::of(&lower), index_of(kept.len()));
                    kept.push(zone);
                }
            }
        }
        Self { zones: kept, table }
    }

    /// The zone with the deepest apex at or above this lower-cased wire name.
    #[must_use]
    pub fn find(&self, lower_wire_name: &[u8]) -> Option<&Arc<Zone>> {
        let mut name = lower_wire_name;
        loop {
            if let Some(zone) = self.exactly(name) {
                return Some(zone);
            }
            name = name::parent(name)?;
        }
    }

    /// The zone with the deepest apex strictly above this lower-cased wire name: where the DS of an apex lives.
    #[must_use]
    pub fn find_above(&self, lower_wire_name: &[u8]) -> Option<&Arc<Zone>> {
        self.find(name::parent(lower_wire_name)?)
    }

    /// The zone with exactly this name.
    #[must_use]
    pub fn get(&self, apex: &Name) -> Option<&Arc<Zone>> {
        self.exactly(&apex.as_wire().to_ascii_lowercase())
    }

    /// All zones.
    pub fn zones(&self) -> impl ExactSizeIterator<Item = &Arc<Zone>> {
        self.zones.iter()
    }

    fn exactly(&self, lower_wire_name: &[u8]) -> Option<&Arc<Zone>> {
        let is_it = |index| {
            let zone: &Zone = &self.zones[index as usize];
            name::equal(zone.apex.as_wire(), lower_wire_name)
        };
        let index = self.table.find(NameHash::of(lower_wire_name), is_it)?;
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

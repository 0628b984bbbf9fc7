//! Zones for the tests of this folder.

use std::sync::Arc;

use crate::dns::zone::{self, ZoneSet};

/// A set of zones from the names and texts of their zone files.
pub(super) fn zones(texts: &[(&str, &str)]) -> ZoneSet {
    zones_without(&[], texts)
}

/// The same, beside zones of these names that could not be loaded.
pub(super) fn zones_without(unloaded: &[&str], texts: &[(&str, &str)]) -> ZoneSet {
    let load = |(apex, text): &(&str, &str)| {
        let mut no_include = |path: &str| Err(format!("{path} is not to be included"));
        let loaded = zone::load(&apex.parse().unwrap(), apex, text.as_bytes(), &mut no_include);
        Arc::new(loaded.unwrap_or_else(|problems| panic!("{apex}: {problems:?}")).zone)
    };
    let unloaded = unloaded.iter().map(|name| name.parse().unwrap());
    ZoneSet::with_unloaded(texts.iter().map(load).collect(), unloaded.collect())
}

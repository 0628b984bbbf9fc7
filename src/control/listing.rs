//! The zones for the status page: those that failed first, so many and no more, listed anew only now and then.
//!
//! A large server has 100,000 zones, and whoever can open the page can ask: all who ask at the same time get the same list.

use std::time::Duration;

use serde::Serialize;
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;

use super::socket::ask;
use super::status::{Zone, ZoneState};
use super::{Command, Operator};
use crate::base::time::Timestamp;
use crate::io::clock;

/// So many zones are shown.
const SHOWN: usize = 100;
/// A list is not older than this.
const AGE: Duration = Duration::from_secs(5);

/// The zones that matter most.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Listing {
    zones: Vec<Zone>,
    /// Zones that are not shown.
    more: usize,
}

/// The last list.
#[derive(Debug, Default)]
pub(super) struct Zones(Mutex<Option<(Timestamp, Listing)>>);

impl Zones {
    /// The list, made anew if it is too old; who comes meanwhile waits for it.
    ///
    /// # Errors
    /// The operator's, in words.
    pub(super) async fn list(&self, operator: &dyn Operator) -> Result<Listing, String> {
        let mut last = self.0.lock().await;
        if let Some((made, listing)) = last.as_ref()
            && clock::now().since(*made) < AGE
        {
            return Ok(listing.clone());
        }
        let told = ask(operator, Command::Zones).await?;
        // Reading many zones takes its time, which is not the runtime's.
        let read = spawn_blocking(move || serde_json::from_str(told.get()).map(choose));
        let listing = read.await.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
        *last = Some((clock::now(), listing.clone()));
        Ok(listing)
    }
}

fn choose(mut zones: Vec<Zone>) -> Listing {
    zones.sort_by_key(|zone| match zone.state {
        ZoneState::Failed => 0,
        ZoneState::Stale => 1,
        ZoneState::Loaded => 2,
    });
    let more = zones.len().saturating_sub(SHOWN);
    zones.truncate(SHOWN);
    Listing { zones, more }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(name: &str, state: ZoneState) -> Zone {
        Zone {
            name: name.to_owned(),
            serial: None,
            records: 0,
            file: String::new(),
            state,
            error: None,
        }
    }

    #[test]
    fn failed_zones_come_first_and_the_list_is_short() {
        let mut zones: Vec<_> = (0..SHOWN).map(|number| zone(&number.to_string(), ZoneState::Loaded)).collect();
        zones.extend([zone("stale.", ZoneState::Stale), zone("failed.", ZoneState::Failed)]);
        let listing = choose(zones);
        let names: Vec<_> = listing.zones.iter().map(|zone| zone.name.as_str()).collect();
        assert_eq!(
            (&names[..3], names.len(), listing.more),
            (&["failed.", "stale.", "0"][..], SHOWN, 2)
        );
    }
}

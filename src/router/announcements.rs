//! The lines that tell the operator to whom queries go: one when that has changed, at most one a second.

use std::collections::BTreeMap;
use std::time::Duration;

use super::record::Record;
use crate::base::address::{LinkLayerAddress, ServiceAddress};
use crate::base::forwarding::NextHop;
use crate::base::machine::{Outbox, Severity};
use crate::base::time::Timestamp;

/// Between two lines.
const LINE_EVERY: Duration = Duration::from_secs(1);
/// Most names in a line.
const MOST_NAMES: usize = 8;

/// Servers by link-layer address, and how the operator knows them.
type Names = BTreeMap<LinkLayerAddress, String>;

/// The lines about one service address.
#[derive(Debug, Default)]
pub(super) struct Announcements {
    /// Who was in the last line.
    announced: Names,
    next: Timestamp,
}

impl Announcements {
    /// Takes `told` for what the operator knows.
    pub(super) fn know(&mut self, told: &[NextHop], record: &Record) {
        self.announced = names(told, record);
    }

    /// When the next line may be written, if there is something to say.
    pub(super) fn due(&self, told: &[NextHop]) -> Option<Timestamp> {
        let known = |hop: &NextHop| self.announced.contains_key(&hop.link_layer);
        (told.len() != self.announced.len() || !told.iter().all(known)).then_some(self.next)
    }

    /// Says what has changed.
    pub(super) fn announce(&mut self, service: ServiceAddress, told: &[NextHop], record: &Record, now: Timestamp, out: &mut Outbox) {
        if self.due(told).is_none_or(|due| now < due) {
            return;
        }
        let present = names(told, record);
        let came = list(&present, &self.announced).map(|names| format!(", new: {names}"));
        let went = list(&self.announced, &present).map(|names| format!(", no more: {names}"));
        let (severity, count) = match present.len() {
            0 => (Severity::Warning, "no server".to_owned()),
            1 => (Severity::Info, "1 server".to_owned()),
            count => (Severity::Info, format!("{count} servers")),
        };
        let changes = came.unwrap_or_default() + &went.unwrap_or_default();
        out.notice(severity, format!("router: {service} goes to {count}{changes}"));
        self.announced = present;
        self.next = now + LINE_EVERY;
    }
}

fn names(told: &[NextHop], record: &Record) -> Names {
    let name = |hop: &NextHop| {
        let member = record.get(hop.link_layer);
        member.map_or_else(|| hop.link_layer.to_string(), ToString::to_string)
    };
    told.iter().map(|hop| (hop.link_layer, name(hop))).collect()
}

/// Who is in `of` and not in `without`.
fn list(of: &Names, without: &Names) -> Option<String> {
    let only = of.iter().filter(|(link_layer, _)| !without.contains_key(*link_layer));
    let only: Vec<&str> = only.map(|(_, name)| name.as_str()).collect();
    let (shown, more) = match only.len() {
        0 => return None,
        count if count > MOST_NAMES => (&only[..MOST_NAMES], format!(" and {} others", count - MOST_NAMES)),
        _ => (&only[..], String::new()),
    };
    Some(shown.join(", ") + &more)
}

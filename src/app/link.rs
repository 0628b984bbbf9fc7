//! One link, read again: what whoever drives machines on it does each time the kernel rings, and each second.

use crate::io::driver::Driver;
use crate::io::interface::InterfaceMonitor;

/// What was last wrong with reading or restoring a link, so that it is said once.
pub(super) type Complaint = Option<String>;

/// Reads the link again (`all`: also what nobody rings for) and has its channels follow. True if the machines have to hear of it.
pub(super) fn reread(driver: &mut Driver, link: &mut InterfaceMonitor, all: bool, complaint: &mut Complaint) -> bool {
    let read = if all { link.check() } else { link.read_changes() };
    let mut wrong = read.as_ref().err().map(ToString::to_string);
    let changed = read.unwrap_or(true);
    // Even if nothing changed: what could not be restored is tried again.
    let reopened = driver.follow(link.name(), link.state()).unwrap_or_else(|error| {
        wrong = Some(error.to_string());
        false
    });
    if reopened && let Err(error) = link.check() {
        wrong = Some(error.to_string());
    }
    if let Some(text) = wrong.as_ref().filter(|_| wrong != *complaint) {
        tracing::warn!("{text}");
    }
    *complaint = wrong;
    changed || reopened
}

//! Mode `failover`: one holder; the others wait in line until it leaves or dies.
//!
//! In line: higher health, then weight, then identity hash. Between two holders the higher term decides first; see
//! [`Precedence`](super::others::Precedence). A running holder is never displaced by a newcomer.

use super::others::Other;
use super::phase::Phase;
use super::scene::Scene;
use crate::base::time::Timestamp;

/// A newcomer listens; everybody waits one interval for each server before it in line.
pub(super) fn take_over_at(scene: &Scene<'_>) -> Option<Timestamp> {
    let turn_in_line = scene.interval * scene.rank();
    match scene.phase {
        Phase::Listening => {
            let listened = scene.since + scene.listening();
            scene.released.map(|released| listened.max(released) + turn_in_line)
        }
        Phase::Following => scene.vacancy.map(|vacancy| vacancy.since + vacancy.patience + turn_in_line),
        Phase::Out | Phase::Failed | Phase::Holding | Phase::Leaving => None,
    }
}

/// The first in line.
pub(super) fn first<'a>(ready: impl Iterator<Item = &'a Other>) -> Option<&'a Other> {
    ready.max_by_key(|other| other.candidate())
}

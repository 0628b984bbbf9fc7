//! Mode `member`: every ready server announces itself to a router side, without Override (claim 15).
//!
//! Nobody takes over from anybody: there is no order and no hand-over; who leaves just stops.

use super::phase::Phase;
use super::scene::Scene;
use crate::base::time::Timestamp;

/// At once.
pub(super) fn take_over_at(scene: &Scene<'_>) -> Option<Timestamp> {
    match scene.phase {
        Phase::Listening | Phase::Following => scene.released.map(|released| scene.since.max(released)),
        Phase::Out | Phase::Failed | Phase::Holding | Phase::Leaving => None,
    }
}

//! Mode `rotate`: the ready servers take turns in the order of identity hash (claim 6), without coordinator or common clock.
//!
//! A turn begins when its advertisement is heard and lasts `turn` x own weight / mean weight. Everybody watches the turns of
//! the others and delays its own until the one before it has ended; a server that misses its turn is passed over after a
//! short grace. Each turn is a term, so a late advertisement of an old turn moves nobody.

use std::time::Duration;

use super::others::{Candidate, Other};
use super::phase::Phase;
use super::scene::{Scene, place};
use crate::base::peer::MISSED_UNTIL_DEAD;
use crate::base::time::Timestamp;

/// Shortest time that a missing server is waited for.
const SHORTEST_GRACE: Duration = Duration::from_millis(20);

/// When the turn before ours ends, and the grace of those who should come before us is over.
pub(super) fn take_over_at(scene: &Scene<'_>) -> Option<Timestamp> {
    match scene.phase {
        Phase::Listening => {
            let alone = scene.others.holder(scene.now).is_none();
            let listened = scene.since + scene.listening();
            let released = scene.released.filter(|_| alone)?;
            Some(listened.max(released) + scene.interval * scene.rank())
        }
        Phase::Following => following(scene),
        Phase::Holding => {
            let end = scene.since + length(scene, &scene.own);
            Some(end + grace(scene) * passed_over(scene, &scene.own))
        }
        Phase::Out | Phase::Failed | Phase::Leaving => None,
    }
}

fn following(scene: &Scene<'_>) -> Option<Timestamp> {
    let Some(turn) = scene.turn else {
        return scene
            .vacancy
            .map(|vacancy| vacancy.since + vacancy.patience + scene.interval * scene.rank());
    };
    let wait = grace(scene) * passed_over(scene, &turn.owner);
    let end = turn.started + length(scene, &turn.owner);
    match (scene.others.holder(scene.now), scene.vacancy) {
        (Some(owner), _) if owner.is_idle() || !owner.keeps(scene.now) => None,
        (Some(_), _) => Some(end + wait),
        (None, Some(vacancy)) => Some(end.min(vacancy.since + vacancy.patience) + wait),
        (None, None) => None,
    }
}

/// A cycle of all turns, and long enough to hear everybody once.
pub(super) fn listening(scene: &Scene<'_>) -> Duration {
    let cycle = scene.config.turn * scene.ring().len() as u32;
    cycle.max(scene.interval * MISSED_UNTIL_DEAD)
}

/// How long a server takes its turn for wanted although no query came to it lately. If none comes during the turn either,
/// it says standby before the next turn begins, and the turns end.
pub(super) fn trial(scene: &Scene<'_>) -> Duration {
    length(scene, &scene.own) * 3 / 4
}

/// The next in the order of turns.
pub(super) fn first<'a>(scene: &Scene<'_>, ready: impl Iterator<Item = &'a Other>) -> Option<&'a Other> {
    ready.min_by_key(|other| other.candidate().map(|other| (place(&other) < place(&scene.own), place(&other))))
}

/// How many servers of the ring come between `owner` and this one.
fn passed_over(scene: &Scene<'_>, owner: &Candidate) -> u32 {
    let (from, to) = (place(owner), place(&scene.own));
    let is_between = |place| {
        if from < to {
            from < place && place < to
        } else {
            place > from || place < to
        }
    };
    scene.ring().iter().filter(|candidate| is_between(place(candidate))).count() as u32
}

/// How long a turn of `owner` lasts.
pub(super) fn length(scene: &Scene<'_>, owner: &Candidate) -> Duration {
    let ring = scene.ring();
    let sum: u64 = ring.iter().map(|candidate| u64::from(candidate.weight.max(1))).sum();
    let share = u64::from(owner.weight.max(1)) * ring.len() as u64;
    let turn = scene.config.turn.as_micros();
    Duration::from_micros(u64::try_from(turn * u128::from(share) / u128::from(sum)).unwrap_or(u64::MAX))
}

fn grace(scene: &Scene<'_>) -> Duration {
    (scene.config.turn / 10).max(SHORTEST_GRACE)
}

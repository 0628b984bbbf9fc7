//! Makes a family that shows a difference smaller, as long as it shows it.
//!
//! Many variants, each with other lines left out, are served and asked together, so that a round starts the servers once.

use crate::comparison::{Batch, Difference};
use crate::judgement::Figures;
use crate::zones::{APEX, Family};

/// Rounds of servers for one family.
const MOST_ROUNDS: usize = 30;

/// The smallest family that was found to show this difference. Zones with names of their own stay as they are: they cannot
/// be served many times.
pub(crate) fn shrink(family: &Family, difference: &Difference) -> Family {
    let is_renamable = family.zones.iter().all(|zone| zone.apex.ends_with(APEX));
    let Some(question) = difference.question.as_ref().filter(|_| is_renamable) else {
        return family.clone();
    };
    let mut smallest = family.clone();
    let mut length = smallest.line_count() / 2;
    for _ in 0..MOST_ROUNDS {
        if length == 0 {
            break;
        }
        let begins = (0..smallest.line_count()).step_by(length);
        let variants: Vec<Family> = begins.map(|begin| smallest.without_lines(begin..begin + length)).collect();
        let mut batch = Batch::default();
        for variant in &variants {
            batch.add(variant.clone(), Some(question.clone()));
        }
        let outcomes = batch.compare(&mut Figures::default());
        let shows = |differences: &[Difference]| differences.iter().any(|other| other.class == difference.class);
        match variants.into_iter().zip(outcomes).find(|(_, differences)| shows(differences)) {
            Some((variant, _)) => smallest = variant,
            None => length /= 2,
        }
    }
    smallest
}

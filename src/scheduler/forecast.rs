//! What a change of class would do to the loads of the group, by equal-cost sharing: each server of the lowest class gets the
//! same part of all queries.
//!
//! Forecasts, not measurements. Unknown counts as full. Loads are in thousandths of a capacity.

use super::cost::{BUSY, Stay};
use crate::base::cost::CostClass;
use crate::monitor::group::{Group, Member};
use crate::monitor::observation::Observation;

/// From this load on what a server is asked tells what it can take.
const TELLING: u16 = 250;

/// What a return would bring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Return {
    /// Our own load then.
    pub load: u16,
    /// The highest load now of those we would stand beside.
    pub worst_now: u16,
}

/// Whether this server can leave `class` for the next one: others must be below that, and be able to take its queries.
///
/// # Errors
/// Why it has to stay.
pub fn if_left(class: CostClass, seen: &Observation) -> Result<(), Stay> {
    // Without peers nothing speaks against it.
    let Some(group) = &seen.group else { return Ok(()) };
    match worst_if_left(class, seen, group)? {
        worst if worst > BUSY => Err(Stay::OthersFull),
        _ => Ok(()),
    }
}

/// The highest load among those who would take our queries.
///
/// # Errors
/// There is nobody, or what somebody can take is not known.
pub fn worst_if_left(class: CostClass, seen: &Observation, group: &Group) -> Result<u16, Stay> {
    let lowest = group.attracting().map(|member| member.class).min();
    let lowest = lowest.filter(|lowest| *lowest <= class).ok_or(Stay::NobodyElse)?;
    let heirs = || group.attracting().filter(|member| member.class == lowest);
    let count = heirs().count() as u64;
    let (all, ours) = (all_queries(seen, group), u64::from(seen.offered));
    let then = |heir: &Member| {
        // The second: where queries do not come in equal parts, ours add to what it has.
        let asked = (all / count).max(u64::from(heir.offered) + ours / count);
        share_of(asked, capacity_of(heir, seen.capacity))
    };
    heirs().map(then).try_fold(0, |worst, load| Some(worst.max(load?))).ok_or(Stay::OthersUnknown)
}

/// What it would bring to go down from `class` by one. `None`: there are no peers to tell, or our own capacity is not known.
#[must_use]
pub fn if_returned(class: CostClass, seen: &Observation) -> Option<Return> {
    let group = seen.group.as_ref()?;
    let beside = || group.attracting().filter(|member| member.class < class);
    let count = beside().count() as u64;
    Some(Return {
        load: share_of(all_queries(seen, group) / (count + 1), u64::from(seen.capacity))?,
        worst_now: beside().map(|member| member.load).max().unwrap_or(0),
    })
}

/// True if one of the others that attract queries has at least this load.
#[must_use]
pub fn others_need_help(seen: &Observation, from: u16) -> bool {
    let needs = |group: &Group| group.attracting().any(|member| member.load >= from);
    seen.group.as_ref().is_some_and(needs)
}

/// Queries a second that the group is asked. While flows move from one server to another one's rate falls as the other's
/// grows, so the sum is right all the time.
fn all_queries(seen: &Observation, group: &Group) -> u64 {
    let others: u64 = group.others.iter().map(|member| u64::from(member.offered)).sum();
    others + u64::from(seen.offered)
}

/// What it says, what its load tells if that is less, or ours if it says nothing; 0 if that is not known either.
fn capacity_of(member: &Member, ours: u32) -> u64 {
    let told = Some(u64::from(member.capacity)).filter(|capacity| *capacity > 0);
    let seen = (member.load >= TELLING).then(|| u64::from(member.offered) * 1_000 / u64::from(member.load));
    match (told, seen) {
        (Some(told), Some(seen)) => told.min(seen),
        (Some(known), None) | (None, Some(known)) => known,
        (None, None) => u64::from(ours),
    }
}

fn share_of(asked: u64, capacity: u64) -> Option<u16> {
    let share = (asked * 1_000).checked_div(capacity)?;
    Some(u16::try_from(share).unwrap_or(u16::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::time::Timestamp;
    use crate::monitor::observation::{Health, Order};

    fn seen(offered: u32, capacity: u32, others: &[(CostClass, u32, u32)]) -> Observation {
        let member = |(class, offered, capacity): &(CostClass, u32, u32)| Member {
            attracts: true,
            class: *class,
            load: (offered * 1_000 / capacity) as u16,
            offered: *offered,
            capacity: *capacity,
        };
        Observation {
            offered,
            capacity,
            group: Some(Group {
                others: others.iter().map(member).collect(),
                last_move: None,
            }),
            ..Observation::empty(Timestamp::ZERO, Health::Healthy, Order::Serve)
        }
    }

    use CostClass::{Busy, LastResort, Normal, Overloaded};

    #[test]
    fn the_last_of_a_class_stays() {
        for others in [&[][..], &[(Busy, 0, 100)], &[(Overloaded, 0, 100), (LastResort, 0, 100)]] {
            assert_eq!(if_left(Normal, &seen(90, 100, others)), Err(Stay::NobodyElse), "{others:?}");
        }
        assert_eq!(if_left(Busy, &seen(110, 100, &[(Busy, 50, 1_000)])), Ok(()));
        let mut silent = seen(90, 100, &[(Normal, 10, 1_000)]);
        assert_eq!(if_left(Normal, &silent), Ok(()));
        silent.group.as_mut().unwrap().others[0].attracts = false;
        assert_eq!(if_left(Normal, &silent), Err(Stay::NobodyElse));
    }

    #[test]
    fn nobody_leaves_for_others_to_drown() {
        // Each of the two then has (90 + 90 + 90) / 2 of 100.
        assert_eq!(if_left(Normal, &seen(90, 100, &[(Normal, 90, 100); 2])), Err(Stay::OthersFull));
        assert_eq!(if_left(Normal, &seen(90, 100, &[(Normal, 90, 159); 2])), Ok(()));
        assert_eq!(if_left(Normal, &seen(90, 100, &[(Normal, 90, 158); 2])), Err(Stay::OthersFull));
        let one_is_small = [(Normal, 90, 1_000), (Normal, 90, 150)];
        assert_eq!(if_left(Normal, &seen(90, 100, &one_is_small)), Err(Stay::OthersFull));
    }

    #[test]
    fn where_queries_come_in_unequal_parts_ours_add_to_theirs() {
        let uneven = [(Normal, 80, 100), (Normal, 0, 100)];
        assert_eq!(if_left(Normal, &seen(90, 100, &uneven)), Err(Stay::OthersFull));
        assert_eq!(worst_if_left(Normal, &seen(20, 100, &uneven), seen(20, 100, &uneven).group.as_ref().unwrap()), Ok(900));
    }

    #[test]
    fn a_load_that_tells_of_less_capacity_is_believed_and_unknown_is_full() {
        let mut group = seen(90, 100, &[(Normal, 90, 1_000)]);
        let member = |group: &mut Observation, load, capacity| {
            let other = &mut group.group.as_mut().unwrap().others[0];
            (other.load, other.capacity) = (load, capacity);
        };
        member(&mut group, 900, 1_000);
        assert_eq!(if_left(Normal, &group), Err(Stay::OthersFull), "it is at 0.9 with 90 queries a second, whatever it says");
        member(&mut group, 100, 0);
        assert_eq!(if_left(Normal, &group), Err(Stay::OthersFull), "taken for one like us");
        group.capacity = 0;
        assert_eq!(if_left(Normal, &group), Err(Stay::OthersUnknown));
    }

    #[test]
    fn a_return_is_to_an_equal_share() {
        let back = |offered, others: &[_]| if_returned(Busy, &seen(offered, 100, others));
        let expected = |load, worst_now| Some(Return { load, worst_now });
        assert_eq!(back(0, &[(Normal, 60, 100), (Normal, 90, 100)]), expected(500, 900));
        assert_eq!(back(0, &[(Busy, 60, 100)]), expected(600, 0), "alone in the better class it would have all of it");
        assert_eq!(if_returned(Busy, &seen(0, 0, &[(Normal, 60, 100)])), None);
    }
}

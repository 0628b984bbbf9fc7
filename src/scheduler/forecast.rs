//! What a change of class would do to the loads of the group, by equal-cost sharing: each server of the lowest class gets the
//! same part of all queries.
//!
//! Forecasts, not measurements. Unknown counts as full. Loads are in thousandths of a capacity.

use std::cmp::Reverse;

use super::cost::{BUSY, OVERLOADED, Stay};
use crate::base::cost::CostClass;
use crate::monitor::group::{Group, Member};
use crate::monitor::observation::Observation;

/// From this load on what a server is asked tells what it can take.
const TELLING: u16 = 250;

/// One part in so many of all queries.
const MARGIN: u64 = 50;

/// What a return would bring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Return {
    /// Our own load then.
    pub load: u16,
    /// One of those drowns and cannot leave, because they could not take all queries; and with this server fewer are lost.
    pub helps: bool,
}

/// Whether this server can leave `class` for the next one: of the others some must be below that, and able to take all queries;
/// or at least fewer are lost without this one.
///
/// # Errors
/// Why it has to stay.
pub fn if_left(class: CostClass, seen: &Observation) -> Result<(), Stay> {
    let Some(group) = &seen.group else {
        return if_left_by_routes(class, seen);
    };
    if worst_if_left(class, seen, group)? <= BUSY {
        return Ok(());
    }
    let heirs = group.attracting().filter(|member| member.class <= class);
    let (with_us, without) = lost_with_and_without(&heirs.collect::<Vec<_>>(), seen, group);
    if is_fewer(without, with_us, seen, group) {
        Ok(())
    } else {
        Err(Stay::OthersFull)
    }
}

/// Without peers nothing speaks against leaving, but that by the routes it would change nothing: all others cost more still, or there
/// are none. Who is only as dear as this server would be then shares with it.
fn if_left_by_routes(class: CostClass, seen: &Observation) -> Result<(), Stay> {
    let next = match class {
        CostClass::Normal => CostClass::Busy,
        CostClass::Busy | CostClass::Overloaded | CostClass::LastResort => CostClass::Overloaded,
    };
    let moves = |routes: &Vec<u32>| routes.iter().any(|extra| *extra <= next.cost(0));
    if seen.routes.as_ref().is_none_or(moves) {
        Ok(())
    } else {
        Err(Stay::NobodyElse)
    }
}

/// Without peers: our load if this server alone went down from `class`, and the others are like it. `None`: some are cheaper
/// already, and what they are asked is not known; or no routes are seen.
#[must_use]
pub fn alone_in_front(class: CostClass, seen: &Observation) -> Option<u16> {
    let (routes, own) = (seen.routes.as_ref()?, class.cost(0));
    if routes.iter().any(|extra| *extra < own) {
        return None;
    }
    let sharing = 1 + routes.iter().filter(|extra| **extra == own).count() as u64;
    Some(u16::try_from(u64::from(seen.load) * sharing).unwrap_or(u16::MAX))
}

/// The highest load among those who would take all queries in the end.
///
/// # Errors
/// There is nobody, or what nobody can take is known.
pub fn worst_if_left(class: CostClass, seen: &Observation, group: &Group) -> Result<u16, Stay> {
    let lowest = group.attracting().map(|member| member.class).min();
    let lowest = lowest.filter(|lowest| *lowest <= class).ok_or(Stay::NobodyElse)?;
    let candidates = group.attracting().filter(|member| member.class == lowest);
    worst_of_heirs(candidates, seen, group).ok_or(Stay::OthersUnknown)
}

/// What it would bring to go down from `class` by one; `share` is the part of all queries that has come here against the
/// forecast, in thousandths. `None`: there are no peers to tell, or our own capacity is not known.
#[must_use]
pub fn if_returned(class: CostClass, share: u16, seen: &Observation) -> Option<Return> {
    let group = seen.group.as_ref()?;
    let beside = || group.attracting().filter(|member| member.class < class);
    let count = beside().count() as u64;
    let all = all_queries(seen, group);
    let ours = (all / (count + 1)).max(all * u64::from(share) / 1_000);
    let load = share_of(ours, u64::from(seen.capacity))?;
    let drowns = beside().any(|member| member.load >= OVERLOADED);
    let can_leave = || worst_of_heirs(beside(), seen, group).is_some_and(|worst| worst <= BUSY);
    let fewer_lost = || {
        let (with_us, without) = lost_with_and_without(&beside().collect::<Vec<_>>(), seen, group);
        is_fewer(with_us, without, seen, group)
    };
    let helps = drowns && !can_leave() && fewer_lost();
    Some(Return { load, helps })
}

/// Queries a second that are lost if these members share all of them equally: with this server beside them, and without it.
fn lost_with_and_without(members: &[&Member], seen: &Observation, group: &Group) -> (u64, u64) {
    let (all, count) = (all_queries(seen, group), members.len() as u64);
    let lost = |each: u64, capacity: u64| each.saturating_sub(capacity);
    let theirs = |each: u64| {
        members
            .iter()
            .map(|member| lost(each, capacity_of(member, seen.capacity)))
            .sum::<u64>()
    };
    let shared = all / (count + 1);
    let with_us = theirs(shared) + lost(shared, u64::from(seen.capacity));
    (with_us, theirs(all.checked_div(count).unwrap_or(all)))
}

/// By a margin, of all queries: who leaves for fewer to be lost must not return for the same reason.
fn is_fewer(one: u64, other: u64, seen: &Observation, group: &Group) -> bool {
    one + all_queries(seen, group) / MARGIN < other
}

/// The part of all queries that comes here, in thousandths; 0 without peers.
#[must_use]
pub fn own_share(seen: &Observation) -> u16 {
    let all = seen.group.as_ref().map_or(0, |group| all_queries(seen, group));
    share_of(u64::from(seen.offered), all).unwrap_or(0)
}

/// The strongest one, two, three, ... of the candidates take all queries, as many as leave each the least; the highest load
/// among these.
///
/// Who is too weak for that can leave as well: two weak servers must not hold each other where they drown.
fn worst_of_heirs<'a>(candidates: impl Iterator<Item = &'a Member>, seen: &Observation, group: &Group) -> Option<u16> {
    let mut heirs: Vec<(u64, u64)> = candidates
        .map(|member| (capacity_of(member, seen.capacity), u64::from(member.offered)))
        .filter(|(capacity, _)| *capacity > 0)
        .collect();
    heirs.sort_unstable_by_key(|(capacity, offered)| (Reverse(*capacity), *offered));
    let all = all_queries(seen, group);
    // The last of so many is the weakest of them.
    let (count, share) = (1_u64..)
        .zip(&heirs)
        .filter_map(|(count, (capacity, _))| Some((count, share_of(all / count, *capacity)?)))
        .min_by_key(|(_, share)| *share)?;
    let heirs = &heirs[..count as usize];
    let theirs: u64 = heirs.iter().map(|(_, offered)| offered).sum();
    // Where queries do not come in equal parts, what the others had adds to what each has.
    let added = all.saturating_sub(theirs) / count;
    let uneven = heirs
        .iter()
        .filter_map(|(capacity, offered)| share_of(offered + added, *capacity))
        .max();
    Some(share.max(uneven?))
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
    fn without_peers_the_costs_of_the_others_tell_whether_leaving_changes_anything() {
        let by = |routes: Option<&[u32]>| Observation {
            group: None,
            routes: routes.map(<[u32]>::to_vec),
            ..seen(90, 100, &[])
        };
        assert_eq!(if_left(Normal, &by(None)), Ok(()));
        assert_eq!(if_left(Normal, &by(Some(&[]))), Err(Stay::NobodyElse));
        assert_eq!(
            if_left(Normal, &by(Some(&[100, 59_990]))),
            Err(Stay::NobodyElse),
            "they are dearer still"
        );
        assert_eq!(if_left(Busy, &by(Some(&[100, 59_990]))), Ok(()), "and then one shares");
        assert_eq!(if_left(Normal, &by(Some(&[10]))), Ok(()));
    }

    #[test]
    fn without_peers_who_returns_alone_has_what_all_of_its_cost_had() {
        let back = |class, routes: &[u32]| {
            let seen = Observation {
                load: 200,
                group: None,
                routes: Some(routes.to_vec()),
                ..seen(20, 100, &[])
            };
            alone_in_front(class, &seen)
        };
        assert_eq!(back(Busy, &[10, 10]), Some(600));
        assert_eq!(back(Busy, &[10, 100]), Some(400));
        assert_eq!(back(Busy, &[]), Some(200));
        assert_eq!(back(Busy, &[0, 10]), None, "one is in front already");
        assert_eq!(back(Overloaded, &[10, 100]), None);
    }

    #[test]
    fn nobody_leaves_for_others_to_drown() {
        // Each of the two then has (90 + 90 + 90) / 2 of 100.
        assert_eq!(if_left(Normal, &seen(90, 100, &[(Normal, 90, 100); 2])), Err(Stay::OthersFull));
        assert_eq!(if_left(Normal, &seen(90, 100, &[(Normal, 90, 159); 2])), Ok(()));
        assert_eq!(if_left(Normal, &seen(90, 100, &[(Normal, 90, 158); 2])), Err(Stay::OthersFull));
        let one_is_small = [(Normal, 90, 300), (Normal, 90, 150)];
        assert_eq!(
            if_left(Normal, &seen(90, 100, &one_is_small)),
            Err(Stay::OthersFull),
            "270 of 300, or 135 of 150"
        );
    }

    #[test]
    fn two_weak_servers_do_not_hold_each_other() {
        let other_is_weak_too = [(Normal, 90, 1_000), (Normal, 90, 80)];
        assert_eq!(if_left(Normal, &seen(90, 100, &other_is_weak_too)), Ok(()), "one can take all 270");
    }

    #[test]
    fn a_weak_server_leaves_full_ones_if_fewer_queries_are_lost_so() {
        // 190 by three: the weak one loses 53. By two: each is at 0.95, and none are lost.
        assert_eq!(if_left(Normal, &seen(63, 10, &[(Normal, 63, 100); 2])), Ok(()));
        // 210 by three: it loses 20. By two: 10 are lost.
        assert_eq!(if_left(Normal, &seen(70, 50, &[(Normal, 70, 100); 2])), Ok(()));
        // 16 and 12: fewer, not by the margin of 4.
        assert_eq!(if_left(Normal, &seen(70, 54, &[(Normal, 71, 100); 2])), Err(Stay::OthersFull));
    }

    #[test]
    fn where_queries_come_in_unequal_parts_ours_add_to_theirs() {
        let uneven = [(Normal, 80, 100), (Normal, 0, 100)];
        assert_eq!(if_left(Normal, &seen(90, 100, &uneven)), Err(Stay::OthersFull));
        assert_eq!(
            worst_if_left(Normal, &seen(20, 100, &uneven), seen(20, 100, &uneven).group.as_ref().unwrap()),
            Ok(900)
        );
    }

    #[test]
    fn a_load_that_tells_of_less_capacity_is_believed_and_unknown_is_full() {
        let mut group = seen(90, 100, &[(Normal, 90, 1_000)]);
        let member = |group: &mut Observation, load, capacity| {
            let other = &mut group.group.as_mut().unwrap().others[0];
            (other.load, other.capacity) = (load, capacity);
        };
        member(&mut group, 900, 1_000);
        assert_eq!(
            if_left(Normal, &group),
            Err(Stay::OthersFull),
            "it is at 0.9 with 90 queries a second, whatever it says"
        );
        member(&mut group, 100, 0);
        assert_eq!(if_left(Normal, &group), Err(Stay::OthersFull), "taken for one like us");
        group.capacity = 0;
        assert_eq!(if_left(Normal, &group), Err(Stay::OthersUnknown));
    }

    #[test]
    fn a_return_is_to_an_equal_share() {
        let back = |share, others: &[_]| if_returned(Busy, share, &seen(0, 100, others));
        let expected = |load, helps| Some(Return { load, helps });
        assert_eq!(back(0, &[(Normal, 60, 100), (Normal, 90, 100)]), expected(500, false));
        assert_eq!(
            back(800, &[(Normal, 60, 100), (Normal, 90, 100)]),
            expected(1_200, false),
            "four of five came here"
        );
        assert_eq!(
            back(0, &[(Busy, 60, 100)]),
            expected(600, false),
            "alone in the better class it would have all of it"
        );
        assert_eq!(if_returned(Busy, 0, &seen(0, 0, &[(Normal, 60, 100)])), None);
        assert_eq!(own_share(&seen(30, 100, &[(Normal, 60, 100), (Busy, 30, 100)])), 250);
    }

    #[test]
    fn a_return_helps_if_one_drowns_cannot_leave_and_fewer_queries_are_lost() {
        let helps = |ours, others: &[_]| if_returned(Busy, 0, &seen(0, ours, others)).unwrap().helps;
        assert!(helps(100, &[(Normal, 110, 100)]));
        assert!(!helps(100, &[(Normal, 99, 100)]), "it does not drown");
        let on_their_way = if_returned(Busy, 0, &seen(50, 100, &[(Normal, 90, 100)])).unwrap();
        assert!(!on_their_way.helps, "it will, when what still comes here is there: not yet");
        assert!(
            !helps(100, &[(Normal, 140, 500), (Normal, 140, 100)]),
            "the weak one can leave: the other can take 280"
        );
        assert!(helps(70, &[(Normal, 280, 200)]), "80 were lost, and 70 are then");
        assert!(
            !helps(65, &[(Normal, 280, 200)]),
            "80 were lost, and 75 are then: less than the margin"
        );
    }
}

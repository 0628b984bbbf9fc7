//! Each rule by itself: what asks for it, how long it must ask, and what holds it up.

use proptest::prelude::*;

use super::*;
use crate::monitor::group::{Group, Member};
use crate::monitor::observation::{Health, Order};
use CostClass::{Busy, Normal, Overloaded};

const IDENTITY: IdentityHash = IdentityHash(7);
/// As long as a proof can take with its jitter.
const SURE: u64 = 13;

fn alone(at: u64, load: u16) -> Observation {
    Observation {
        load,
        offered: u32::from(load),
        capacity: 1_000,
        ..Observation::empty(Timestamp::from_secs(at), Health::Healthy, Order::Serve)
    }
}

fn among(at: u64, load: u16, others: &[(CostClass, u32)]) -> Observation {
    let member = |(class, offered): &(CostClass, u32)| Member {
        attracts: true,
        class: *class,
        load: *offered as u16,
        offered: *offered,
        capacity: 1_000,
    };
    Observation {
        group: Some(Group {
            others: others.iter().map(member).collect(),
            last_move: None,
        }),
        ..alone(at, load)
    }
}

/// Follows `seen` every second for `seconds`; ends with the first change.
fn pass(cost: Cost, seconds: u64, seen: impl Fn(u64) -> Observation, at: &mut u64) -> Cost {
    let mut now = cost;
    for _ in 0..seconds {
        *at += 1;
        now = now.follow(IDENTITY, 1, &seen(*at));
        if now.class != cost.class {
            return now;
        }
    }
    now
}

/// Room for what a server like these is asked at 0.9.
const ROOM: [(CostClass, u32); 2] = [(Normal, 100); 2];

fn class(class: CostClass) -> Cost {
    Cost { class, ..Cost::STARTED }
}

#[test]
fn up_at_85_percent_for_ten_seconds_and_not_below() {
    let (mut at, room) = (100, |load| move |at| among(at, load, &ROOM));
    assert_eq!(pass(Cost::STARTED, 1_000, room(849), &mut at).class, Normal);
    let began = at + 1;
    let busy = pass(Cost::STARTED, 1_000, room(850), &mut at);
    assert_eq!((busy.class, busy.rule), (Busy, Rule::NearCapacity));
    assert!((10..=12).contains(&(at - began)), "{}", at - began);
    assert_eq!(busy.changes, [Some(Timestamp::from_secs(at)), None]);
}

#[test]
fn a_wish_that_breaks_off_begins_anew() {
    let mut at = 100;
    let mut cost = Cost::STARTED;
    for _ in 0..20 {
        cost = pass(cost, 9, |at| among(at, 900, &ROOM), &mut at);
        cost = pass(cost, 1, |at| among(at, 800, &ROOM), &mut at);
    }
    assert_eq!(cost.class, Normal);
    assert_eq!(pass(cost, SURE, |at| among(at, 900, &ROOM), &mut at).class, Busy, "unbroken");
    let asking = pass(cost, 9, |at| among(at, 900, &ROOM), &mut at);
    assert!(asking.wish.is_some() && asking.at_rest().wish.is_none());
}

#[test]
fn overloaded_only_after_a_minute_in_busy() {
    let mut at = 100;
    let room = |load| move |at| among(at, load, &[(Normal, 100), (Normal, 100), (Busy, 100)]);
    let busy = pass(Cost::STARTED, SURE, room(1_100), &mut at);
    assert_eq!(busy.class, Busy);
    let since = at;
    assert_eq!(pass(busy, 500, room(999), &mut at.clone()).class, Busy, "below its capacity");
    let overloaded = pass(busy, 500, room(1_000), &mut at);
    assert_eq!((overloaded.class, overloaded.rule), (Overloaded, Rule::AboveCapacity));
    assert!((60..=75).contains(&(at - since)), "{}", at - since);
    assert_eq!(
        pass(overloaded, 5_000, room(5_000), &mut at).class,
        Overloaded,
        "load alone is never the last resort"
    );
}

#[test]
fn the_last_one_stays_and_so_does_whoever_would_drown_others() {
    let rows = [
        (Normal, vec![], Stay::NobodyElse),
        (Normal, vec![(Busy, 0), (Overloaded, 0)], Stay::NobodyElse),
        (Busy, vec![(Overloaded, 0)], Stay::NobodyElse),
        (Normal, vec![(Normal, 400)], Stay::OthersFull),
        (Busy, vec![(Normal, 100), (Normal, 800)], Stay::OthersFull),
    ];
    for (from, others, expected) in rows {
        let mut at = 100;
        let cost = pass(class(from), 1_000, |at| among(at, 1_100, &others), &mut at);
        assert_eq!((cost.class, cost.stay), (from, expected), "{others:?}");
    }
}

#[test]
fn down_only_when_the_group_has_room_for_a_minute() {
    let back = |others: &'static [(CostClass, u32)]| move |at| among(at, 0, others);
    let mut at = 100;
    let full = pass(class(Busy), 5_000, back(&[(Normal, 760), (Normal, 760)]), &mut at);
    assert_eq!(
        (full.class, full.stay),
        (Busy, Stay::GroupLoaded),
        "a third of 1,520 is more than 500"
    );
    let began = at + 1;
    let normal = pass(class(Busy), 5_000, back(&[(Normal, 750), (Normal, 750)]), &mut at);
    assert_eq!((normal.class, normal.rule), (Normal, Rule::RoomForUs));
    assert!((60..=75).contains(&(at - began)), "{}", at - began);
    let loaded = pass(class(Busy), 5_000, |at| among(at, 501, &[(Normal, 0), (Normal, 0)]), &mut at);
    assert_eq!(
        (loaded.class, loaded.stay),
        (Busy, Stay::StillLoaded),
        "load comes here all the same"
    );
    assert_eq!(
        pass(class(Overloaded), 5_000, back(&[(Normal, 100)]), &mut at).class,
        Busy,
        "one class at a time"
    );
}

#[test]
fn down_at_once_when_another_drowns_and_it_helps() {
    let began = 101;
    let mut at = 100;
    let quiet = pass(class(Busy), 5_000, |at| among(at, 0, &[(Normal, 999)]), &mut at);
    assert_eq!(quiet.rule, Rule::RoomForUs, "it does not drown yet");
    for drowning in [1_100, 1_400] {
        at = 100;
        let helped = pass(class(Busy), 5_000, |at| among(at, 0, &[(Normal, drowning)]), &mut at);
        assert_eq!((helped.class, helped.rule), (Normal, Rule::OthersDrown));
        assert!((10..=12).contains(&(at - began)), "{}", at - began);
    }
    at = 100;
    let no_help = Observation {
        capacity: 300,
        ..among(0, 0, &[(Normal, 1_400)])
    };
    let no_help = |at| Observation {
        at: Timestamp::from_secs(at),
        ..no_help.clone()
    };
    assert_eq!(
        pass(class(Busy), 5_000, no_help, &mut at).class,
        Busy,
        "400 of 1,400 are lost, with its 300 as well"
    );
}

#[test]
fn nobody_helps_one_that_can_leave() {
    let mut seen = among(0, 0, &[(Normal, 1_400), (Normal, 1_400)]);
    let others = &mut seen.group.as_mut().unwrap().others;
    others[0].load = 350;
    others[0].capacity = 4_000;
    let seen = |at| Observation {
        at: Timestamp::from_secs(at),
        ..seen.clone()
    };
    let mut at = 100;
    let stays = pass(class(Busy), 5_000, seen, &mut at);
    assert_eq!((stays.class, stays.stay), (Busy, Stay::GroupLoaded));
}

#[test]
fn after_a_return_that_did_not_last_the_next_is_not_to_an_equal_share() {
    let mut at = 10_000;
    let returned = Cost {
        returned: Some(Timestamp::from_secs(at - 100)),
        ..Cost::STARTED
    };
    // Three of four queries come here, though two others are there.
    let busy = pass(returned, SURE, |at| among(at, 900, &[(Normal, 150); 2]), &mut at);
    assert_eq!((busy.class, busy.share), (Busy, 750));
    let stays = pass(busy, 5_000, |at| among(at, 0, &[(Normal, 400); 2]), &mut at);
    assert_eq!(
        (stays.class, stays.stay),
        (Busy, Stay::GroupLoaded),
        "a third is 267, three quarters are 600"
    );
    let back = pass(busy, 5_000, |at| among(at, 0, &[(Normal, 330); 2]), &mut at);
    assert_eq!(back.class, Normal);
    at += 600;
    assert_eq!(
        pass(back, SURE, |at| among(at, 900, &[(Normal, 150); 2]), &mut at).share,
        0,
        "it has lasted"
    );
}

#[test]
fn without_peers_own_load_decides_and_a_return_waits_ten_minutes_for_the_next() {
    let mut at = 100;
    let busy = pass(Cost::STARTED, SURE, |at| alone(at, 900), &mut at);
    assert_eq!(busy.class, Busy);
    let back = pass(busy, 100, |at| alone(at, 500), &mut at);
    assert_eq!((back.class, back.rule), (Normal, Rule::LoadGone));
    let returned = at;
    let again = Cost {
        class: Busy,
        changes: [None; 2],
        ..back
    };
    let waiting = pass(again, 500, |at| alone(at, 0), &mut at);
    assert_eq!((waiting.class, waiting.stay), (Busy, Stay::ReturnedLately));
    assert_eq!(pass(waiting, 500, |at| alone(at, 0), &mut at).class, Normal);
    assert_eq!(at - returned, 600);
}

#[test]
fn a_return_that_does_not_last_makes_the_next_one_wait_twice_as_long_up_to_15_minutes() {
    let mut at = 10_000;
    let mut cost = Cost::STARTED;
    let mut holds = Vec::new();
    for _ in 0..6 {
        cost = pass(cost, 2_000, |at| alone(at, 900), &mut at);
        holds.push(cost.hold.as_secs());
        cost = pass(cost, 4_000, |at| alone(at, 0), &mut at);
        assert_eq!(cost.class, Normal);
        // The budget of two in ten minutes is another rule.
        cost.changes = [None; 2];
    }
    assert_eq!(holds, [60, 120, 240, 480, 900, 900]);
    at += 600;
    assert_eq!(
        pass(cost, 2_000, |at| alone(at, 900), &mut at).hold.as_secs(),
        60,
        "this one has lasted"
    );
}

#[test]
fn one_server_of_a_group_moves_in_five_seconds() {
    let seen = |at, last_move| {
        let mut seen = among(at, 900, &ROOM);
        seen.group.as_mut().unwrap().last_move = Some(Timestamp::from_secs(last_move));
        seen
    };
    let wish = Some(Wish {
        rule: Rule::NearCapacity,
        since: Timestamp::from_secs(50),
    });
    let asking = Cost { wish, ..Cost::STARTED };
    let early = asking.follow(IDENTITY, 1, &seen(104, 100));
    assert_eq!((early.class, early.stay), (Normal, Stay::OtherMoved));
    assert_eq!(asking.follow(IDENTITY, 1, &seen(105, 100)).class, Busy);
}

#[test]
fn a_third_change_waits_until_ten_minutes_after_the_first() {
    let mut at = 1_000;
    let first = at - 100;
    let cost = Cost {
        changes: [Some(Timestamp::from_secs(first + 70)), Some(Timestamp::from_secs(first))],
        ..Cost::STARTED
    };
    let waits = pass(cost, 400, |at| among(at, 900, &ROOM), &mut at);
    assert_eq!((waits.class, waits.stay), (Normal, Stay::ChangedTwice));
    assert_eq!(pass(waits, 400, |at| among(at, 900, &ROOM), &mut at).class, Busy);
    assert_eq!(at - first, 600);
}

#[test]
fn jitter_is_the_same_for_the_same_decision_and_spread_over_a_quarter() {
    let minute = |identity, decision| lengthen(Duration::from_secs(60), IdentityHash(identity), decision).as_secs_f64();
    assert_eq!(minute(1, 2).to_bits(), minute(1, 2).to_bits());
    let all: Vec<f64> = (0..1_000).map(|identity| minute(identity, 3)).collect();
    assert!(all.iter().all(|time| (60.0..=75.0).contains(time)));
    assert!(
        (66.5..68.5).contains(&(all.iter().sum::<f64>() / 1_000.0)),
        "half of a quarter on average"
    );
    assert!((0..100).any(|decision| minute(1, decision) > 70.0) && (0..100).any(|decision| minute(1, decision) < 65.0));
}

proptest! {
    #[test]
    fn whatever_is_seen_a_class_changes_by_one_never_to_the_last_resort_and_twice_in_ten_minutes(
        steps in prop::collection::vec((0_u16..1_500, any::<bool>(), 0_u32..1_500, 1_u64..40), 1..400),
        lonely in any::<bool>(),
    ) {
        let (mut cost, mut at, mut changes) = (Cost::STARTED, 1_000, Vec::new());
        for (load, below, offered, elapsed) in steps {
            at += elapsed;
            let other = if below { Normal } else { Busy };
            let seen = if lonely { alone(at, load) } else { among(at, load, &[(other, offered), (Normal, offered / 2)]) };
            let next = cost.follow(IDENTITY, changes.len() as u64, &seen);
            if next.class != cost.class {
                prop_assert_eq!((next.class as u8).abs_diff(cost.class as u8), 1);
                prop_assert!(next.class != CostClass::LastResort);
                changes.push(at);
                prop_assert!(changes.len() < 3 || at - changes[changes.len() - 3] >= 600);
                prop_assert!(changes.len() < 2 || at - changes[changes.len() - 2] >= 60);
            }
            prop_assert_eq!(next.follow(IDENTITY, changes.len() as u64, &seen), next, "the same observation decides nothing new");
            cost = next;
        }
    }
}

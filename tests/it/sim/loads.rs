//! Stories of load: steps, ramps, waves and lost servers, hours of them, and what must hold of the cost classes.
//!
//! In every story at every step (`crowd`): no server changes its class three times in ten minutes; no two of a group within five
//! seconds, if the second has heard of the first; while there are queries and servers, somebody is asked.

use std::time::Duration;

use heraldns::base::cost::CostClass;
use heraldns::base::random::Random;
use heraldns::scheduler::State;

use super::crowd::{Crowd, Router, STEP};
use super::with_seeds;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

const COUNTS: [usize; 12] = [100, 2, 3, 4, 2, 3, 5, 8, 12, 3, 20, 6];

/// Unlike servers: most of about 1,000 queries a second, some weak, some strong.
fn capacities(seed: u64, count: usize) -> Vec<f64> {
    let mut random = Random::seeded(seed ^ 0xc0de);
    (0..count)
        .map(|_| match random.below(10) {
            0 | 1 => 150.0 + random.below(350) as f64,
            2..=7 => 900.0 + random.below(200) as f64,
            _ => 1_500.0 + random.below(2_500) as f64,
        })
        .collect()
}

fn classes(crowd: &Crowd) -> Vec<CostClass> {
    crowd.servers.iter().map(|server| server.standing.class()).collect()
}

/// Ten hours: four demands, each for two and a half.
#[test]
fn while_the_demand_stays_no_server_leaves_and_returns_and_nobody_is_worse_off_for_it() {
    with_seeds(12, |seed, traced| {
        let mut crowd = Crowd::new(seed, &capacities(seed, COUNTS[seed as usize % COUNTS.len()].min(30)), traced);
        for _ in 0..4 {
            let demand = crowd.capacity() * (0.05 + crowd.random.below(1_150) as f64 / 1_000.0);
            crowd.run(HOUR, |_| demand);
            let settled = crowd.now;
            crowd.run(90 * MINUTE, |_| demand);
            let mut movers = crowd.movers_since(settled);
            movers.sort_unstable();
            if movers.windows(2).any(|pair| pair[0] == pair[1]) {
                crowd.fail("a server leaves and returns though nothing has changed");
            }
            let untouched = crowd.lost_untouched(demand);
            if crowd.lost() > untouched + demand * 0.05 {
                crowd.fail(&format!(
                    "{:.0} of {demand:.0} queries are lost, {untouched:.0} without any classes",
                    crowd.lost()
                ));
            }
        }
    });
}

/// Ten hours of everything at once.
#[test]
fn steps_ramps_waves_and_lost_servers_for_ten_hours() {
    with_seeds(12, |seed, traced| {
        let mut crowd = Crowd::new(seed + 1_000, &capacities(seed, COUNTS[seed as usize % COUNTS.len()]), traced);
        let all = crowd.capacity();
        let level = |random: &mut Random| all * random.below(1_200) as f64 / 1_000.0;
        let mut last = level(&mut crowd.random);
        let end = crowd.now + 10 * HOUR;
        while crowd.now < end {
            lose_or_regain(&mut crowd);
            let (from, to) = (last, level(&mut crowd.random));
            let time = MINUTE * (2 + crowd.random.below(40) as u32);
            let period = 60.0 + crowd.random.below(1_800) as f64;
            match crowd.random.below(4) {
                0 => crowd.run(time, |_| to),
                1 => crowd.run(time, |passed| from + (to - from) * (passed.as_secs_f64() / time.as_secs_f64())),
                2 => crowd.run(time, |passed| {
                    from + (to - from) * (1.0 - (passed.as_secs_f64() / period * std::f64::consts::TAU).cos()) / 2.0
                }),
                _ => crowd.run(MINUTE, |_| 0.0),
            }
            last = to;
        }
        // Whatever it has come to: the last demand for a while, and it is as if it had always been so.
        let demand = last;
        crowd.run(2 * HOUR, |_| demand);
        let untouched = crowd.lost_untouched(demand);
        if crowd.lost() > untouched + demand * 0.05 {
            crowd.fail(&format!(
                "{:.0} of {demand:.0} queries are lost, {untouched:.0} without any classes",
                crowd.lost()
            ));
        }
    });
}

fn lose_or_regain(crowd: &mut Crowd) {
    let number = crowd.random.below(crowd.servers.len() as u64) as usize;
    match crowd.random.below(6) {
        0 if crowd.servers[number].alive && crowd.alive().count() > 1 => crowd.kill(number),
        1..=3 if !crowd.servers[number].alive => crowd.start(number),
        _ => {}
    }
}

/// Fast waves around a weak server's bounds, the worst there is for a hysteresis.
#[test]
fn waves_of_every_period_move_a_server_seldom() {
    with_seeds(6, |seed, traced| {
        let mut crowd = Crowd::new(seed, &[1_000.0, 1_000.0, 300.0], traced);
        let period = [20.0, 60.0, 150.0, 300.0, 600.0, 1_200.0][(seed % 6) as usize];
        crowd.run(10 * HOUR, |passed| {
            let wave = (passed.as_secs_f64() / period * std::f64::consts::TAU).sin();
            650.0 + 550.0 * wave
        });
        let moves = crowd.servers[2].moves.len();
        // Quiet for up to 15 minutes before each return, once a few have not lasted.
        if moves > 2 * 36 {
            crowd.fail(&format!("{moves} changes in ten hours"));
        }
    });
}

#[test]
fn a_weak_server_leaves_once_and_comes_back_once() {
    with_seeds(20, |seed, traced| {
        let mut crowd = Crowd::new(seed, &[1_000.0, 1_000.0, 1_000.0, 300.0], traced);
        crowd.run(10 * MINUTE, |_| 400.0);
        if classes(&crowd) != [CostClass::Normal; 4] {
            crowd.fail("nobody is loaded");
        }
        crowd.run(Duration::from_secs(40), |_| 2_200.0);
        if crowd.servers[3].standing.class() != CostClass::Busy {
            crowd.fail("the weak server is not out after 40 s");
        }
        crowd.run(3 * HOUR, |_| 2_200.0);
        let others = &classes(&crowd)[..3];
        if others != [CostClass::Normal; 3] || crowd.servers[3].offered > 0.0 {
            crowd.fail("the others take it and stay");
        }
        // An equal share would be 0.67 of the weak one.
        crowd.run(HOUR, |_| 800.0);
        if crowd.servers[3].moves.len() != 1 {
            crowd.fail("there is no room for it yet");
        }
        crowd.run(4 * MINUTE, |_| 400.0);
        crowd.run(2 * HOUR, |_| 400.0);
        if crowd.servers[3].moves.len() != 2 || crowd.servers[3].standing.class() != CostClass::Normal {
            crowd.fail("it comes back when there is room");
        }
    });
}

#[test]
fn equal_servers_that_are_full_all_stay() {
    with_seeds(20, |seed, traced| {
        let count = 2 + (seed % 9) as usize;
        let mut crowd = Crowd::new(seed, &vec![1_000.0; count], traced);
        crowd.run(2 * HOUR, |_| 930.0 * count as f64);
        crowd.run(2 * HOUR, |_| 2_000.0 * count as f64);
        if crowd.servers.iter().any(|server| !server.moves.is_empty()) {
            crowd.fail("a server passed its queries on to others that were as full");
        }
    });
}

#[test]
fn whoever_had_left_helps_when_others_die() {
    with_seeds(20, |seed, traced| {
        let mut crowd = Crowd::new(seed, &[2_000.0, 2_000.0, 2_000.0, 2_000.0, 900.0, 800.0], traced);
        crowd.run(20 * MINUTE, |_| 5_400.0);
        if classes(&crowd)[4..] != [CostClass::Busy; 2] || crowd.worst() > 0.85 {
            crowd.fail("the two weak servers have not left");
        }
        (0..3).for_each(|number| crowd.kill(number));
        crowd.run(3 * MINUTE, |_| 2_800.0);
        // 800 at the last strong one alone; by two, the weak one's 900 are not enough for its half.
        if crowd.lost() > 650.0 {
            crowd.fail("the last strong server drowns and nobody helps");
        }
        crowd.kill(3);
        crowd.run(2 * STEP, |_| 500.0);
        if crowd.lost() > 0.0 || crowd.worst() == 0.0 {
            crowd.fail("the two weak ones could take it");
        }
    });
}

#[test]
fn a_newcomer_that_gets_everything_is_helped() {
    with_seeds(20, |seed, traced| {
        let mut crowd = Crowd::new(seed, &[2_500.0, 2_500.0, 2_500.0, 900.0, 800.0, 300.0], traced);
        crowd.kill(5);
        crowd.run(20 * MINUTE, |_| 5_000.0);
        (0..3).for_each(|number| crowd.kill(number));
        crowd.run(MINUTE, |_| 1_400.0);
        if classes(&crowd)[3..5] != [CostClass::Busy; 2] || crowd.lost() > 0.0 {
            crowd.fail("the weak servers share it, both busy");
        }
        // It starts at the normal cost, below all others.
        crowd.start(5);
        crowd.run(2 * STEP, |_| 1_400.0);
        if crowd.lost() < 1_000.0 {
            crowd.fail("the newcomer does not get everything");
        }
        crowd.run(MINUTE, |_| 1_400.0);
        if crowd.lost() > 200.0 {
            crowd.fail("nobody helps the newcomer");
        }
    });
}

#[test]
fn idle_servers_wake_when_the_one_that_is_asked_is_near_its_capacity() {
    with_seeds(20, |seed, traced| {
        let mut crowd = Crowd::new(seed, &[1_000.0; 4], traced);
        // All but the nearest fall idle: the only router is nearer to it.
        crowd.routers[0].distances = vec![0, 5, 5, 5];
        crowd.run(5 * MINUTE, |_| 100.0);
        let state = |crowd: &Crowd, number: usize| crowd.servers[number].standing.state;
        if (1..4).any(|number| state(&crowd, number) != State::Idle) {
            crowd.fail("the far ones are not idle");
        }
        crowd.run(MINUTE, |_| 1_100.0);
        if (1..4).any(|number| state(&crowd, number) != State::Serving) || crowd.worst() > 0.85 {
            crowd.fail("the near one is above its capacity and the idle ones do not help");
        }
        if crowd.servers[0].standing.class() != CostClass::Busy {
            crowd.fail("the near one has not left");
        }
        crowd.run(2 * MINUTE, |_| 0.0);
        if (1..4).any(|number| state(&crowd, number) != State::Idle) {
            crowd.fail("nobody asks any more");
        }
    });
}

/// Where each router has a nearest server the forecast by equal shares is wrong; what remains is the budget.
#[test]
fn several_routers_with_nearest_servers_of_their_own() {
    with_seeds(8, |seed, traced| {
        let servers = capacities(seed, COUNTS[1 + seed as usize % 8]);
        let mut crowd = Crowd::new(seed, &servers, traced);
        let count = 2 + crowd.random.below(3) as usize;
        crowd.routers = (0..count)
            .map(|_| Router {
                share: 1.0 / count as f64,
                distances: servers.iter().map(|_| crowd.random.below(3) as u32 * 5).collect(),
            })
            .collect();
        let demand = crowd.capacity() * (0.2 + crowd.random.below(700) as f64 / 1_000.0);
        crowd.run(5 * HOUR, |_| demand);
        let settled = crowd.now;
        crowd.run(5 * HOUR, |_| demand);
        let often = (0..servers.len()).map(|number| crowd.servers[number].moves.iter().filter(|(at, _)| *at >= settled).count());
        let most = often.max().unwrap_or(0);
        if most > 20 {
            crowd.fail(&format!("a server changed {most} times in five hours"));
        }
    });
}

#[test]
fn without_peers_a_return_is_a_trial_and_at_most_one_in_ten_minutes() {
    with_seeds(4, |seed, traced| {
        let mut crowd = Crowd::new(seed, &[1_000.0, 1_000.0, 300.0], traced);
        crowd.peers = false;
        crowd.run(10 * HOUR, |_| 1_200.0);
        let returns = |number: usize| {
            let moves = &crowd.servers[number].moves;
            moves
                .iter()
                .filter(|(_, class)| *class == CostClass::Normal)
                .map(|(at, _)| *at)
                .collect::<Vec<_>>()
        };
        let weak = returns(2);
        if weak.windows(2).any(|pair| pair[1].since(pair[0]) < 10 * MINUTE) {
            crowd.fail("two returns in ten minutes");
        }
        // After some trials that did not last, it must be quiet for 15 minutes.
        if !(20..=42).contains(&weak.len()) || !returns(0).is_empty() || !returns(1).is_empty() {
            crowd.fail(&format!("{} returns of the weak server in ten hours", weak.len()));
        }
    });
}

/// Each of them had an equal part of too much, so each costs more now, and they share again. When there is less, the first that returned
/// would have all of it.
#[test]
fn without_peers_the_costs_in_the_database_call_nobody_back_to_more_than_it_can_take() {
    with_seeds(10, |seed, traced| {
        let mut crowd = Crowd::new(seed, &[1_000.0; 3], traced);
        (crowd.peers, crowd.database) = (false, true);
        crowd.run(HOUR, |_| 3_600.0);
        let class = crowd.servers[0].standing.class();
        if class == CostClass::Normal || classes(&crowd) != [class; 3] {
            crowd.fail("the three do not share");
        }
        let settled = crowd.now;
        let mut lost = 0.0;
        for _ in 0..120 {
            crowd.run(MINUTE, |_| 1_200.0);
            lost += crowd.lost();
        }
        if lost > 0.0 || !crowd.movers_since(settled).is_empty() {
            crowd.fail("one returned, and had everything");
        }
        crowd.run(HOUR, |_| 390.0);
        if classes(&crowd) != [CostClass::Normal; 3] {
            crowd.fail("there is room, and they do not return");
        }
    });
}

#[test]
fn without_peers_the_only_server_of_an_address_stays_where_it_is() {
    with_seeds(4, |seed, traced| {
        let mut crowd = Crowd::new(seed, &[1_000.0], traced);
        (crowd.peers, crowd.database) = (false, true);
        crowd.run(HOUR, |_| 1_500.0);
        if !crowd.servers[0].moves.is_empty() {
            crowd.fail("a cost was changed for nobody");
        }
    });
}

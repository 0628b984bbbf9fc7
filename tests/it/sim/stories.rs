//! The stories: what happens to a group of servers, and what the router and the clients must see of it.

use std::time::Duration;

use heraldns::advertiser::nd;
use heraldns::advertiser::nd::config::{Mode, Start};
use heraldns::base::random::Random;

use super::host::{Life, Settings, Wish};
use super::network::{Act, Network, Quality};
use super::with_seeds;

const GAP: Option<Duration> = Some(Duration::from_millis(50));

fn settings(mode: Mode) -> Settings {
    Settings {
        nd: nd::Config {
            mode,
            ..nd::Config::default()
        },
        standby_after: Duration::from_secs(30),
        key: None,
    }
}

/// Two to five servers of equal weight that have been serving for a while, under traffic.
fn serving(seed: u64, quality: Quality, traced: bool) -> Network {
    let servers = 2 + (seed % 4) as usize;
    let mut network = Network::new(seed, &vec![100; servers], &settings(Mode::Failover), quality, traced);
    for host in 0..servers {
        let start = network.random.below(3_000);
        network.after(start, Act::Start(host));
    }
    network.run(3_000);
    network.act(Act::Traffic(GAP));
    network.run(6_000);
    if network.holder().is_none() || network.holder() != network.pointed_at() {
        network.fail("the router does not point at the holder");
    }
    network
}

fn quality(seed: u64, random: &mut Random) -> Quality {
    if seed.is_multiple_of(2) {
        Quality::GOOD
    } else {
        Quality::bad(random)
    }
}

#[test]
fn claim_3_when_the_holder_dies_the_router_gets_the_next_servers_address_within_a_second() {
    with_seeds(200, |seed, traced| {
        let mut network = serving(seed, Quality::GOOD, traced);
        let holder = network.holder().unwrap();
        let wait = network.random.below(300);
        network.run(wait);
        network.act(Act::Kill(holder));
        network.run(1_000);
        if network.pointed_at() == Some(holder) || network.pointed_at() != network.holder() {
            network.fail("a second after the holder's death the router still points at it");
        }
        let before = network.lost_queries.len();
        network.run(5_000);
        if network.lost_queries.len() != before {
            network.fail("queries were lost after the take-over");
        }
    });
}

#[test]
fn claim_3_when_the_next_in_line_is_dead_too_one_interval_more_passes() {
    with_seeds(100, |seed, traced| {
        let mut network = serving(seed + 1 + seed / 3, Quality::GOOD, traced);
        if network.hosts.len() < 3 {
            return;
        }
        let first = network.holder().unwrap();
        network.act(Act::Kill(first));
        network.run(1_000);
        let second = network.holder().unwrap();
        network.act(Act::Start(first));
        network.run(4_000);
        // Both at once: the holder, and who would be next if the first of the story came back as the best.
        let next = (0..network.hosts.len()).find(|host| *host != second);
        network.act(Act::Kill(second));
        network.act(Act::Kill(next.unwrap()));
        network.run(1_300);
        if network.holder().is_none() || network.pointed_at() != network.holder() {
            network.fail("nobody took over");
        }
    });
}

#[test]
fn claim_9_a_planned_leave_never_leaves_the_router_pointing_at_a_server_that_cannot_serve() {
    with_seeds(200, |seed, traced| {
        let mut random = Random::seeded(seed);
        let quality = quality(seed, &mut random);
        let mut network = serving(seed, quality, traced);
        let lost = network.lost_queries.len();
        for _ in 0..network.hosts.len() {
            let Some(leaving) = network.holder() else {
                network.fail("no holder")
            };
            network.act(Act::Wish(leaving, Wish::Drain));
            for _ in 0..100 {
                network.run(100);
                if network.hosts[leaving].is_withdrawn() {
                    break;
                }
            }
            if !network.hosts[leaving].is_withdrawn() || network.pointed_at() == Some(leaving) {
                network.fail("ten seconds after the drain it is not over");
            }
            network.act(Act::Kill(leaving));
            network.run(1_000);
            network.act(Act::Start(leaving));
            network.run(2_000);
        }
        if network.lost_queries.len() != lost {
            network.fail(&format!("lost queries: {:?}", &network.lost_queries[lost..]));
        }
    });
}

#[test]
fn claim_9_a_failed_server_hands_over_at_once() {
    with_seeds(100, |seed, traced| {
        let mut network = serving(seed, Quality::GOOD, traced);
        let failing = network.holder().unwrap();
        network.act(Act::Wish(failing, Wish::Fail));
        network.run(2);
        if network.pointed_at() == Some(failing) || network.pointed_at() != network.holder() {
            network.fail("two milliseconds after the failure the router still points at the failed server");
        }
    });
}

#[test]
fn a_flap_of_the_holders_link_moves_nothing() {
    with_seeds(100, |seed, traced| {
        let mut network = serving(seed, Quality::GOOD, traced);
        let (holder, away) = (network.holder().unwrap(), network.random.below(590));
        let term = network.hosts[holder].report().term;
        network.act(Act::Link(holder, false));
        network.run(away);
        network.act(Act::Link(holder, true));
        if network.holder() != Some(holder) {
            network.fail("the holder is none although nobody took over");
        }
        let lost = network.lost_queries.len();
        network.run(3_000);
        if network.holder() != Some(holder) || network.hosts[holder].report().term != term || network.lost_queries.len() != lost {
            network.fail("the holder did not stay");
        }
    });
}

#[test]
fn a_holder_whose_main_process_dies_or_hangs_is_replaced_as_soon_as_its_guardian_speaks() {
    with_seeds(100, |seed, traced| {
        let hangs = seed % 2 == 0;
        let mut signed = settings(Mode::Failover);
        signed.key = (seed % 4 < 2).then_some(b"key".as_slice());
        let mut network = Network::new(seed, &[100; 3], &signed, Quality::GOOD, traced);
        (0..3).for_each(|host| network.act(Act::Start(host)));
        network.act(Act::Traffic(GAP));
        network.run(4_000);
        let holder = network.holder().unwrap();
        network.act(if hangs { Act::Hang(holder) } else { Act::KillMain(holder) });
        network.run(if hangs { 425 + 3 } else { 3 });
        let next = network.holder();
        if next.is_none_or(|next| next == holder) || network.pointed_at() != next {
            network.fail("nobody has taken over, or the router does not know");
        }
        let lost = network.lost_queries.len();
        network.run(seed * 20);
        let act = if hangs { Act::Continue(holder) } else { Act::Start(holder) };
        network.act(act);
        for _ in 0..500 {
            network.run(10);
            if network.holder() != next || network.pointed_at() != next || network.lost_queries.len() != lost {
                network.fail("the successor did not stay");
            }
        }
    });
}

#[test]
fn whatever_happens_there_is_one_holder_in_the_end() {
    with_seeds(1_000, chaos);
}

/// Deaths, stops, drains, failures, lost links, partitions; then everything is mended.
fn chaos(seed: u64, traced: bool) {
    let mut random = Random::seeded(!seed);
    let quality = quality(seed, &mut random);
    let mut settings = settings(Mode::Failover);
    settings.standby_after = Duration::from_secs(if random.chance(300) { 2 } else { 30 });
    settings.key = random.chance(200).then_some(b"key".as_slice());
    settings.nd.start = if random.chance(200) { Start::Solicited } else { Start::Ready };
    let servers = 2 + random.below(4) as usize;
    let weights: Vec<u16> = (0..servers).map(|_| 100 + 50 * random.below(2) as u16).collect();
    let mut network = Network::new(seed, &weights, &settings, quality, traced);
    network.checks.may_be_vacant = settings.nd.start == Start::Solicited;
    (0..servers).for_each(|host| network.after(random.below(2_000), Act::Start(host)));
    network.act(Act::Traffic(GAP));
    network.run(2_000 + random.below(2_000));
    for _ in 0..8 {
        let host = random.below(servers as u64) as usize;
        network.act(any_act(host, &network, &mut random));
        network.run(random.below(2_500));
    }
    mend(&mut network);
    network.run(6_000);
    let holders: Vec<_> = (0..servers).filter(|host| network.hosts[*host].is_holder()).collect();
    if holders.len() != 1 || network.pointed_at() != network.holder() {
        network.fail(&format!("holders {holders:?}, the router points at {:?}", network.pointed_at()));
    }
}

fn any_act(host: usize, network: &Network, random: &mut Random) -> Act {
    match (network.hosts[host].life, random.below(10)) {
        (Life::Dead, _) => Act::Start(host),
        (Life::Stopped, _) => Act::Continue(host),
        (Life::Running, 0) => Act::Kill(host),
        (Life::Running, 1) => Act::KillMain(host),
        (Life::Running, 2) if random.chance(500) => Act::Hang(host),
        (Life::Running, 2) => Act::Stop(host),
        (Life::Running, 3) => Act::Wish(host, Wish::Drain),
        (Life::Running, 4) => Act::Wish(host, Wish::Fail),
        (Life::Running, 5) => Act::Wish(host, Wish::Serve),
        (Life::Running, 6) => Act::Link(host, !network.hosts[host].link_up),
        (Life::Running, 7 | 8) => Act::Side(host, 1 - network.sides[host]),
        (Life::Running, _) => Act::Traffic(if random.chance(500) { GAP } else { None }),
    }
}

fn mend(network: &mut Network) {
    network.quality = Quality::GOOD;
    for host in 0..network.hosts.len() {
        network.act(Act::Side(host, 0));
        match network.hosts[host].life {
            Life::Dead => network.act(Act::Start(host)),
            Life::Stopped => network.act(Act::Continue(host)),
            Life::Running => {}
        }
        network.act(Act::Link(host, true));
        network.act(Act::Wish(host, Wish::Serve));
    }
    network.act(Act::Traffic(GAP));
}

#[test]
fn claim_7_and_8_an_idle_holder_that_dies_costs_no_query_after_three_seconds() {
    with_seeds(100, |seed, traced| {
        let mut idle = settings(Mode::Failover);
        idle.standby_after = Duration::from_secs(2);
        let mut network = Network::new(seed, &[100; 3], &idle, Quality::GOOD, traced);
        (0..3).for_each(|host| network.act(Act::Start(host)));
        network.act(Act::Traffic(GAP));
        network.run(4_000);
        network.act(Act::Traffic(None));
        network.run(4_000);
        let holder = network.holder().unwrap();
        let sent = network.hosts[holder].report().sent;
        network.run(3_000 + seed * 7);
        assert_eq!(network.hosts[holder].report().sent, sent, "silent in standby");
        network.act(Act::Kill(holder));
        network.run(3_010);
        let lost = network.lost_queries.len() as u64 + network.router.unresolved;
        network.act(Act::Traffic(GAP));
        network.run(2_000);
        let next = network.holder().unwrap();
        if network.lost_queries.len() as u64 + network.router.unresolved != lost || !network.hosts[next].report().advertised {
            network.fail("the first queries were lost");
        }
    });
}

#[test]
fn claim_2_after_a_common_start_by_solicitation_one_server_answers() {
    with_seeds(100, |seed, traced| {
        let mut solicited = settings(Mode::Failover);
        solicited.nd.start = Start::Solicited;
        let mut network = Network::new(seed, &[100; 4], &solicited, Quality::GOOD, traced);
        network.checks.may_be_vacant = true;
        (0..4).for_each(|host| network.act(Act::Start(host)));
        network.run(10_000);
        assert!(network.hosts.iter().all(|host| host.report().sent == 0), "silent until asked");
        network.act(Act::Traffic(GAP));
        network.run(100);
        let senders = network.hosts.iter().filter(|host| host.report().sent > 0).count();
        if senders != 1 || network.pointed_at() != network.holder() || !network.lost_queries.is_empty() {
            network.fail("not exactly one answered");
        }
    });
}

#[test]
fn at_a_cold_start_only_one_server_ever_advertises() {
    with_seeds(100, |seed, traced| {
        let servers = 2 + (seed % 6) as usize;
        let mut network = Network::new(seed, &vec![100; servers], &settings(Mode::Failover), Quality::GOOD, traced);
        for host in 0..servers {
            network.after(seed % 50, Act::Start(host));
        }
        network.run(5_000);
        let senders = network.hosts.iter().filter(|host| host.report().sent > 0).count();
        if senders != 1 || network.holder().is_none() {
            network.fail("not exactly one sender");
        }
    });
}

#[test]
fn claim_6_in_rotate_mode_the_shares_follow_the_weights_and_nothing_is_lost() {
    for (turn, weights) in [(1_000, [100, 100, 100]), (100, [100, 100, 100]), (200, [100, 200, 300])] {
        with_seeds(10, |seed, traced| {
            let mut rotate = settings(Mode::Rotate);
            rotate.nd.turn = Duration::from_millis(turn);
            let mut network = Network::new(seed, &weights, &rotate, Quality::GOOD, traced);
            network.checks.enabled = false;
            (0..3).for_each(|host| network.after(seed * 37 % 500 * host as u64, Act::Start(host)));
            network.act(Act::Traffic(Some(Duration::from_millis(5))));
            network.run(10_000);
            let (asked, answered) = (network.asked, network.answered.clone());
            network.run(30_000);
            let total = (network.asked - asked) as f64;
            let sum: f64 = weights.iter().map(|weight| f64::from(*weight)).sum();
            for host in 0..3 {
                let share = (network.answered[host] - answered[host]) as f64 / total;
                let due = f64::from(weights[host]) / sum;
                if (share - due).abs() > 0.04 {
                    network.fail(&format!(
                        "turn {turn} ms, weights {weights:?}: s{} has {share:.3} instead of {due:.3}",
                        host + 1
                    ));
                }
            }
            if !network.lost_queries.is_empty() {
                network.fail("queries were lost");
            }
        });
    }
}

#[test]
fn in_rotate_mode_a_dead_servers_turn_is_over_after_a_turn_and_a_tenth() {
    with_seeds(50, |seed, traced| {
        let mut network = Network::new(seed, &[100; 4], &settings(Mode::Rotate), Quality::GOOD, traced);
        network.checks.enabled = false;
        (0..4).for_each(|host| network.act(Act::Start(host)));
        network.act(Act::Traffic(GAP));
        network.run(12_000 + seed * 83);
        let dying = network.pointed_at().unwrap();
        network.act(Act::Kill(dying));
        network.run(1_101);
        if network.pointed_at() == Some(dying) {
            network.fail("the router still points at the dead server");
        }
        let lost = network.lost_queries.len();
        network.run(10_000);
        if network.lost_queries.len() != lost {
            network.fail("the dead server got another turn");
        }
    });
}

#[test]
fn claim_7_and_8_the_turns_end_when_no_query_comes_and_go_on_with_the_first() {
    with_seeds(50, |seed, traced| {
        let mut rotate = settings(Mode::Rotate);
        rotate.standby_after = Duration::from_secs(2 + seed % 4);
        let mut network = Network::new(seed, &[100; 3], &rotate, Quality::GOOD, traced);
        network.checks.enabled = false;
        (0..3).for_each(|host| network.act(Act::Start(host)));
        network.act(Act::Traffic(GAP));
        network.run(12_000);
        network.act(Act::Traffic(None));
        network.run(15_000);
        let sent = |network: &Network| network.hosts.iter().map(|host| host.report().sent).sum::<u64>();
        let before = sent(&network);
        network.run(10_000);
        if sent(&network) != before || network.pointed_at() != network.holder() {
            network.fail("not silent in standby");
        }
        let (answered, lost) = (network.answered.clone(), network.lost_queries.len());
        network.act(Act::Traffic(GAP));
        network.run(10_000);
        if network.answered.iter().zip(answered).any(|(now, before)| *now == before) || network.lost_queries.len() != lost {
            network.fail("the turns do not go on");
        }
    });
}

#[test]
fn whatever_happens_the_turns_go_on_in_the_end() {
    with_seeds(200, |seed, traced| {
        let mut random = Random::seeded(!seed);
        let quality = quality(seed, &mut random);
        let mut settings = settings(Mode::Rotate);
        settings.nd.turn = Duration::from_millis(100 + random.below(1_000));
        settings.key = random.chance(200).then_some(b"key".as_slice());
        let servers = 2 + random.below(3) as usize;
        let mut network = Network::new(seed, &vec![100; servers], &settings, quality, traced);
        network.checks.enabled = false;
        (0..servers).for_each(|host| network.after(random.below(2_000), Act::Start(host)));
        network.act(Act::Traffic(GAP));
        network.run(2_000 + random.below(2_000));
        for _ in 0..6 {
            let host = random.below(servers as u64) as usize;
            network.act(any_act(host, &network, &mut random));
            network.run(random.below(2_500));
        }
        mend(&mut network);
        network.run(10_000);
        let (answered, lost) = (network.answered.clone(), network.lost_queries.len());
        network.run(8_000);
        if network.answered.iter().zip(answered).any(|(now, before)| *now == before) || network.lost_queries.len() != lost {
            network.fail("not everybody has turns, or queries are lost");
        }
    });
}

#[test]
fn in_rotate_mode_on_a_bad_link_everybody_gets_turns_and_a_drain_loses_nothing() {
    with_seeds(50, |seed, traced| {
        let mut random = Random::seeded(seed);
        let mut network = Network::new(seed, &[100; 3], &settings(Mode::Rotate), Quality::bad(&mut random), traced);
        network.checks.enabled = false;
        (0..3).for_each(|host| network.act(Act::Start(host)));
        network.act(Act::Traffic(Some(Duration::from_millis(20))));
        network.run(40_000);
        let total: u64 = network.answered.iter().sum();
        if network.answered.iter().any(|answered| answered * 6 < total) {
            network.fail(&format!("shares {:?}", network.answered));
        }
        let (leaving, lost) = (random.below(3) as usize, network.lost_queries.len());
        network.act(Act::Wish(leaving, Wish::Drain));
        network.run(10_000);
        if !network.hosts[leaving].is_withdrawn() || network.pointed_at() == Some(leaving) || network.lost_queries.len() != lost {
            network.fail("the drain is not over after ten seconds");
        }
    });
}

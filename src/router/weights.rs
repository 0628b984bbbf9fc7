//! The weight law: what a server's load makes of its configured weight. Pure arithmetic; derived in docs/decisions/0011.
//!
//! A server's weight in force is its configured weight times a *factor* from 1/8 to 1. Every [`PERIOD`] the factor goes two
//! thirds of the way, by ratio, to the one that would bring the server's utilisation to the mark: the group's own, or 70 % if that is less.
//! Not here: who is in the group (`selection`), and where loads come from (`member`).

use std::time::Duration;

use crate::base::forwarding::{MOST_SHARE, NextHop};

/// Time between two updates: three times what a server smooths its recent load over (1.5 s) and what news takes (0.3 s).
pub const PERIOD: Duration = Duration::from_millis(5_400);
/// Below this utilisation of the group configured weights are what counts.
pub const MARK: f64 = 0.7;
/// The least factor: even a server that tells absurd loads gets an eighth of what it is configured for.
pub const LEAST_FACTOR: f64 = 1.0 / 8.0;

/// How far, by ratio, a factor goes to the ideal one in one update: just below what would overshoot with this period.
const GAIN: f64 = 2.0 / 3.0;
/// The same for a server that tells only the load of the cost classes, smoothed over 10 s.
const SLOW_GAIN: f64 = 1.0 / 8.0;
/// No server is believed to need more than this many times, or less than this part, of what it gets.
const FARTHEST: f64 = 4.0;
/// A share that moved by less is not told to the kernel.
const WORTH_TELLING: f64 = 0.1;

/// What a server says of its utilisation: 1.0 is its capacity.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Utilisation {
    /// Load over capacity.
    pub value: f64,
    /// Over the last second or two; else over the last 10 s.
    pub recent: bool,
}

/// One server of the group, as an update sees it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading {
    /// Its configured weight.
    pub configured: f64,
    /// Its factor until now.
    pub factor: f64,
    /// The factor that the kernel's share stands for: what `utilisation` was measured under.
    pub in_force: f64,
    /// What it measured; `None`: it tells nothing, or has not had its share for long enough.
    pub utilisation: Option<Utilisation>,
}

/// The factors of the whole group after one update, in the order of `group`.
#[must_use]
pub fn update(group: &[Reading]) -> Vec<f64> {
    let measured = || group.iter().filter_map(|one| Some((one.configured, one.utilisation?.value)));
    let configured: f64 = measured().map(|(configured, _)| configured).sum();
    let load: f64 = measured().map(|(configured, value)| configured * value).sum();
    let utilisation = if configured > 0.0 { load / configured } else { 0.0 };
    let mark = utilisation.max(MARK);
    let wanted: Vec<f64> = group.iter().map(|one| one.towards(mark)).collect();
    let greatest = wanted.iter().copied().fold(0.0, f64::max);
    // Above the mark a weight only counts against the others', so the greatest stands for the configured one. Below it those
    // that have room return to their configured weight one by one, and scaling would hold them where they are.
    let scale = if utilisation > MARK || greatest < 1.0 { greatest } else { 1.0 };
    wanted.into_iter().map(|factor| (factor / scale).clamp(LEAST_FACTOR, 1.0)).collect()
}

impl Reading {
    fn towards(&self, mark: f64) -> f64 {
        let Some(utilisation) = self.utilisation else { return self.factor };
        let ideal = self.in_force * (mark / utilisation.value).clamp(1.0 / FARTHEST, FARTHEST);
        let gain = if utilisation.recent { GAIN } else { SLOW_GAIN };
        self.factor.powf(1.0 - gain) * ideal.powf(gain)
    }
}

/// Weights as shares of 1 to [`MOST_SHARE`], the greatest of which is that.
#[must_use]
pub fn shares(weights: &[f64]) -> Vec<u16> {
    let most = f64::from(MOST_SHARE);
    let greatest = weights.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
    let share = |weight: &f64| (weight / greatest * most).round().clamp(1.0, most) as u16;
    weights.iter().map(share).collect()
}

/// True if the difference is worth telling the kernel: other next hops, another kind of share, or a share moved by 10 %.
#[must_use]
pub fn is_news(told: &[NextHop], wanted: &[NextHop]) -> bool {
    let moved = |told: u16, wanted: u16| {
        let (told, wanted) = (f64::from(told), f64::from(wanted));
        (told == 0.0) != (wanted == 0.0) || (wanted - told).abs() >= told * WORTH_TELLING && wanted != told
    };
    let differs = |(told, wanted): (&NextHop, &NextHop)| {
        let who = |hop: &NextHop| (hop.gateway, hop.made_up, hop.link_layer);
        who(told) != who(wanted) || moved(told.datagrams, wanted.datagrams) || moved(told.connections, wanted.connections)
    };
    told.len() != wanted.len() || told.iter().zip(wanted).any(differs)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use proptest::prelude::*;

    use super::*;
    use crate::base::address::LinkLayerAddress;

    fn reading(factor: f64, value: f64) -> Reading {
        Reading {
            configured: 100.0,
            factor,
            in_force: factor,
            utilisation: Some(Utilisation { value, recent: true }),
        }
    }

    #[test]
    fn below_the_mark_configured_weights_return() {
        let mut group = [reading(1.0, 0.3), reading(0.2, 0.1)];
        for _ in 0..5 {
            let factors = update(&group);
            group = [reading(factors[0], 0.3), reading(factors[1], 0.1)];
        }
        assert_eq!(group.map(|one| one.factor), [1.0, 1.0]);
    }

    #[test]
    fn above_the_mark_an_update_takes_two_thirds_of_the_difference() {
        let factors = update(&[reading(1.0, 0.8), reading(1.0, 1.0)]);
        assert_eq!(factors[0], 1.0);
        assert!((factors[1] - 0.8_f64.powf(2.0 / 3.0)).abs() < 1e-9, "{factors:?}");
    }

    #[test]
    fn a_share_that_is_held_back_is_taken_into_account() {
        // The kernel still has 1.05 times the ideal share: the factor goes to the ideal one and stays, update by update.
        let mut factor = 0.525;
        for _ in 0..20 {
            let held = Reading {
                factor,
                ..reading(0.525, 1.05)
            };
            factor = update(&[reading(1.0, 1.0), held, reading(1.0, 0.95), reading(1.0, 1.0)])[1];
        }
        assert!((0.46..0.5).contains(&factor), "{factor}");
    }

    #[test]
    fn who_tells_nothing_keeps_its_weight() {
        let silent = Reading {
            utilisation: None,
            ..reading(0.5, 0.0)
        };
        assert_eq!(update(&[silent, reading(1.0, 0.3)]), [0.5, 1.0]);
        assert_eq!(update(&[]), [0.0; 0]);
    }

    #[test]
    fn no_load_moves_a_factor_by_more_than_its_step_or_below_an_eighth() {
        assert_eq!(update(&[reading(1.0, 65.0), reading(1.0, 65.0)]), [1.0, 1.0]);
        let factors = update(&[reading(1.0, 0.7), reading(1.0, 65.0), reading(0.125, 65.0)]);
        assert_eq!((factors[0], factors[2]), (1.0, LEAST_FACTOR));
        let step = FARTHEST.powf(GAIN);
        assert!(
            factors[1] >= 1.0 / step / step,
            "a step down for the one, a step up for the other: {factors:?}"
        );
    }

    #[test]
    fn the_greatest_share_is_256_and_the_least_is_1() {
        assert_eq!(shares(&[100.0, 200.0, 100.0]), [128, 256, 128]);
        assert_eq!(shares(&[1.0, 65_535.0]), [1, 256]);
        assert_eq!(shares(&[0.0, 0.0]), [1, 1]);
    }

    #[test]
    fn ten_percent_are_news() {
        let hop = |datagrams, connections| NextHop {
            gateway: Ipv6Addr::LOCALHOST,
            made_up: false,
            link_layer: LinkLayerAddress::default(),
            datagrams,
            connections,
        };
        let rows = [
            ((100, 100), (91, 109), false),
            ((100, 100), (90, 100), true),
            ((100, 100), (100, 110), true),
            ((0, 1), (1, 1), true),
            ((0, 1), (0, 1), false),
        ];
        for (told, wanted, news) in rows {
            let (told, wanted) = (hop(told.0, told.1), hop(wanted.0, wanted.1));
            assert_eq!(is_news(&[told], &[wanted]), news, "{told:?} {wanted:?}");
        }
        assert!(is_news(&[], &[hop(1, 1)]));
    }

    proptest! {
        #[test]
        fn factors_stay_within_their_bounds(
            group in proptest::collection::vec((1..65_536_u32, 0.125..1.0_f64, 0.125..1.0_f64, any::<Option<(u16, bool)>>()), 1..100)
        ) {
            let group: Vec<_> = group
                .into_iter()
                .map(|(configured, factor, in_force, load)| Reading {
                    configured: f64::from(configured),
                    factor,
                    in_force,
                    utilisation: load.map(|(load, recent)| Utilisation { value: f64::from(load) / 1_000.0, recent }),
                })
                .collect();
            let factors = update(&group);
            prop_assert_eq!(factors.len(), group.len());
            prop_assert!(factors.iter().all(|factor| (LEAST_FACTOR..=1.0).contains(factor)), "{:?}", factors);
            let weights: Vec<_> = factors.iter().zip(&group).map(|(factor, one)| factor * one.configured).collect();
            let shares = shares(&weights);
            prop_assert!(shares.iter().all(|share| (1..=MOST_SHARE).contains(share)));
            prop_assert_eq!(shares.iter().max(), Some(&MOST_SHARE));
        }
    }
}

//! The rate limit: what a bucket lets through at any times of arrival, who shares one, and what a flood does to others.

use proptest::prelude::*;

use super::*;
use crate::base::random::Random;

const NAME: &[u8] = b"\x03www\x07example\0";

fn limits(rate: u32, slip: u8) -> Limits {
    Limits {
        rate: NonZeroU32::new(rate).unwrap(),
        slip,
        ipv4_prefix: 24,
        ipv6_prefix: 56,
        exempt: Vec::new(),
    }
}

fn limiter(rate: u32, slip: u8) -> RateLimiter {
    RateLimiter::new(limits(rate, slip), &[7; 16])
}

fn client() -> IpAddr {
    "192.0.2.1".parse().unwrap()
}

fn judge_at(limiter: &RateLimiter, micros: u64) -> Verdict {
    limiter.judge(client(), Kind::Answer, NAME, Timestamp::from_micros(micros))
}

/// How many of so many answers at one moment are sent.
fn sent_at(limiter: &RateLimiter, micros: u64, count: usize) -> usize {
    (0..count).filter(|_| judge_at(limiter, micros) == Verdict::Send).count()
}

#[test]
fn as_many_as_the_rate_may_come_at_once() {
    for rate in [1, 2, 3, 7, 20, 999, 100_000, MOST_RATE] {
        let limiter = limiter(rate, 2);
        let count = rate as usize;
        assert_eq!(sent_at(&limiter, 5_000_000, 2 * count), count, "rate {rate}");
        assert_eq!(sent_at(&limiter, 5_000_000, 100), 0, "rate {rate}");
        // All credit is back when a second has passed, but for the microseconds that the interval was rounded up.
        assert_eq!(sent_at(&limiter, 6_000_000 + u64::from(rate), 2 * count), count, "rate {rate}");
    }
}

#[test]
fn credit_comes_back_evenly() {
    let limiter = limiter(10, 0);
    sent_at(&limiter, 0, 20);
    for tenth in 1..100 {
        assert_eq!(judge_at(&limiter, 100_000 * tenth - 1), Verdict::Drop);
        assert_eq!(judge_at(&limiter, 100_000 * tenth), Verdict::Send);
    }
}

#[test]
fn every_so_many_th_limited_answer_slips() {
    for slip in 0..=MOST_SLIP {
        let limiter = limiter(5, slip);
        let mut slipped = 0;
        let mut limited = 0_usize;
        for step in 0..1_000 {
            match judge_at(&limiter, 1_000 * step) {
                Verdict::Send => {}
                Verdict::Slip => {
                    assert_eq!(limited % usize::from(slip), 0, "slip {slip}");
                    (limited, slipped) = (limited + 1, slipped + 1);
                }
                Verdict::Drop => limited += 1,
            }
        }
        assert_eq!(limited, 1_000 - 9, "five at once, four more in the second");
        let expected = if slip == 0 { 0 } else { limited.div_ceil(usize::from(slip)) };
        assert_eq!(slipped, expected, "slip {slip}");
    }
}

#[test]
fn prefix_kind_and_name_make_a_bucket() {
    let www = NAME;
    let mail = b"\x04mail\x07example\0";
    let rows: [(&str, Kind, &[u8], bool); 9] = [
        ("192.0.2.1", Kind::Answer, www, true),
        ("192.0.2.255", Kind::Answer, www, true),
        ("192.0.3.1", Kind::Answer, www, false),
        ("::ffff:192.0.2.1", Kind::Answer, www, false),
        ("192.0.2.1", Kind::Referral, www, false),
        ("192.0.2.1", Kind::NameError, www, false),
        ("192.0.2.1", Kind::NoData, www, false),
        ("192.0.2.1", Kind::Answer, mail, false),
        ("192.0.2.1", Kind::Error, b"", false),
    ];
    for (client, kind, name, shared) in rows {
        let limiter = limiter(1, 0);
        assert_eq!(judge_at(&limiter, 0), Verdict::Send);
        let verdict = limiter.judge(client.parse().unwrap(), kind, name, Timestamp::ZERO);
        assert_eq!(verdict == Verdict::Drop, shared, "{client} {kind:?} {name:?}");
    }
    let limiter = limiter(1, 0);
    let of = |client: &str| limiter.judge(client.parse().unwrap(), Kind::Answer, www, Timestamp::ZERO);
    assert_eq!(of("2001:db8:0:ff::1"), Verdict::Send);
    assert_eq!(of("2001:db8:0:80::1"), Verdict::Drop, "the same /56");
    assert_eq!(of("2001:db8:0:100::1"), Verdict::Send);
}

#[test]
fn exempt_clients_are_neither_limited_nor_counted() {
    let limiter = RateLimiter::new(
        Limits {
            exempt: vec!["192.0.2.7/32".parse().unwrap(), "2001:db8::/32".parse().unwrap()],
            ..limits(1, 0)
        },
        &[7; 16],
    );
    let of = |client: &str| limiter.judge(client.parse().unwrap(), Kind::Answer, NAME, Timestamp::ZERO);
    assert!((0..100).all(|_| of("192.0.2.7") == Verdict::Send && of("2001:db8::1") == Verdict::Send));
    assert_eq!((of("192.0.2.8"), of("192.0.2.8")), (Verdict::Send, Verdict::Drop));
}

#[test]
fn the_bucket_goes_on_where_its_time_wraps() {
    let wrap = 1 << TIME_BITS;
    for start in [wrap - 500_000, 5 * wrap - 1, wrap] {
        let limiter = limiter(10, 0);
        assert_eq!(sent_at(&limiter, start, 20), 10);
        assert_eq!(sent_at(&limiter, start + 500_000, 20), 5);
        assert_eq!(sent_at(&limiter, start + 2_000_000, 20), 10);
    }
    let limiter = limiter(10, 0);
    sent_at(&limiter, 0, 20);
    assert_eq!(
        sent_at(&limiter, wrap / 2 + 10_000_000, 20),
        10,
        "a bucket of a week ago has all its credit"
    );
}

#[test]
fn a_worker_whose_clock_reading_is_older_gives_no_new_credit() {
    let limiter = limiter(10, 0);
    assert_eq!(sent_at(&limiter, 5_000_000, 20), 10);
    assert_eq!(sent_at(&limiter, 4_990_000, 20), 0);
    assert_eq!(sent_at(&limiter, 3_000_000, 20), 0);
}

/// A flood from one prefix with ever new names, then one answer each to many others: how many of these were limited.
fn limited_by_the_flood_of_another(key: [u8; 16]) -> usize {
    let limiter = RateLimiter::new(limits(1, 0), &key);
    let now = Timestamp::from_secs(9);
    // Four times as many as there are buckets, all of them used up.
    for number in 0..4 * (SETS * WAYS) as u32 {
        limiter.judge(client(), Kind::Answer, &number.to_be_bytes(), now);
    }
    let others = (0..10_000_u32).map(|number| IpAddr::from(std::net::Ipv4Addr::from_bits(0x0a00_0000 | number << 8)));
    others
        .filter(|other| limiter.judge(*other, Kind::Answer, NAME, now) != Verdict::Send)
        .count()
}

#[test]
fn a_flood_that_fills_the_table_limits_nobody_else() {
    // A lookup meets eight tags of twenty bits: of ten thousand others less than a tenth of one is expected to be taken for
    // one of the flood, whatever the key.
    let mut random = Random::seeded(1);
    let limited: usize = (0..4)
        .map(|_| {
            let mut key = [0; 16];
            key[..8].copy_from_slice(&random.next_u64().to_ne_bytes());
            key[8..].copy_from_slice(&random.next_u64().to_ne_bytes());
            limited_by_the_flood_of_another(key)
        })
        .sum();
    assert!(limited <= 3, "{limited} of 40,000");
}

#[test]
fn a_flood_of_new_names_does_not_free_the_one_that_owes_most() {
    let limiter = limiter(10, 0);
    let now = Timestamp::from_secs(9);
    while limiter.judge(client(), Kind::NameError, b"\x07example\0", now) == Verdict::Send {}
    for number in 0..2 * (SETS * WAYS) as u32 {
        limiter.judge(client(), Kind::Answer, &number.to_be_bytes(), now);
    }
    assert_eq!(limiter.judge(client(), Kind::NameError, b"\x07example\0", now), Verdict::Drop);
}

#[test]
fn buckets_cannot_be_aimed_at_without_the_key() {
    let place = |key: u8| {
        let limiter = RateLimiter::new(limits(1, 0), &[key; 16]);
        limiter.hash(limiter.prefix_of(client()), Kind::Answer, NAME)
    };
    let places: std::collections::HashSet<u64> = (0..100).map(place).collect();
    assert_eq!(places.len(), 100);
}

proptest! {
    #[test]
    fn no_second_sees_more_than_rate_and_burst(
        rate in 1_u32..200,
        gaps in prop::collection::vec(prop_oneof![Just(0_u64), 0_u64..2_000, 0_u64..300_000, 0_u64..3_000_000], 1..600),
    ) {
        let limiter = limiter(rate, 2);
        let mut at = 10_000_000;
        let mut sent = Vec::new();
        for gap in gaps {
            at += gap;
            if judge_at(&limiter, at) == Verdict::Send {
                sent.push(at);
            }
        }
        for (index, start) in sent.iter().enumerate() {
            let within = sent[index..].iter().take_while(|time| **time < start + 1_000_000).count();
            prop_assert!(within <= 2 * rate as usize, "{} in a second at rate {}", within, rate);
            // Over any length of time: what may come at once, and what came back meanwhile.
            let all = sent[index..].len() as u64;
            let length = sent[sent.len() - 1] - start;
            prop_assert!(all <= u64::from(rate) + length * u64::from(rate) / 1_000_000 + 1);
        }
    }

    #[test]
    fn who_keeps_the_rate_is_never_limited(rate in 1_u32..1_000, early in prop::collection::vec(0_u64..1_000, 1..300)) {
        let limiter = limiter(rate, 2);
        let interval = 1_000_000_u64.div_ceil(u64::from(rate));
        for (number, early) in early.iter().enumerate() {
            // On average at the rate, each up to a whole interval early.
            let at = 10_000_000 + number as u64 * interval - early * interval / 1_000;
            let verdict = judge_at(&limiter, at);
            // A rate of one has no room for any earliness.
            prop_assert!(verdict == Verdict::Send || rate == 1, "number {}", number);
        }
    }
}

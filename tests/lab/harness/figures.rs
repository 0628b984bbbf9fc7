//! Figures: one line per measurement, and a test repeated for median and worst.

use std::time::Duration;

use super::clock::millis;

/// Runs `measure` once, or `LAB_REPEAT` times; prints median and worst, and asserts `limit` of each.
#[track_caller]
pub(crate) fn repeat(what: &str, limit: Duration, mut measure: impl FnMut() -> Duration) {
    let rounds = rounds(1);
    let mut measured: Vec<Duration> = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        measured.push(measure());
        let newest = measured[measured.len() - 1];
        assert!(newest <= limit, "{what}: {:.1} ms, at most {:.1} ms", millis(newest), millis(limit));
    }
    measured.sort_unstable();
    let (median, worst) = (measured[rounds / 2], measured[rounds - 1]);
    print(
        what,
        format_args!("median {:.1} ms, worst {:.1} ms of {rounds}", millis(median), millis(worst)),
    );
}

/// `LAB_REPEAT`, or what CI does.
pub(crate) fn rounds(in_ci: usize) -> usize {
    let wish = std::env::var("LAB_REPEAT").ok().and_then(|rounds| rounds.parse().ok());
    wish.unwrap_or(in_ci).max(1)
}

/// One line for whoever collects figures.
pub(crate) fn print(what: &str, figures: impl std::fmt::Display) {
    println!("figure: {what}: {figures}");
}

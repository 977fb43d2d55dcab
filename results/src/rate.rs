//! Rates as they were measured, and what they let one claim: the only place where intervals are
//! computed.
//!
//! All bounds are exact (Clopper & Pearson, *The use of confidence or fiducial limits illustrated in
//! the case of the binomial*, 1934): they hold for few trials and for rates near 0 and 1, and never
//! claim more than they may. Trials are taken to be independent.

use serde::{Deserialize, Serialize};

/// The chance with which bounds hold.
pub const CONFIDENCE: f64 = 0.95;

/// Halvings that find a bound: below what a double can tell apart.
const HALVINGS: u32 = 60;

/// A rate as it was measured, with the interval in which the true one lies.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rate {
    /// How often it happened.
    pub hits: u64,
    /// Of how many trials.
    pub trials: u64,
    /// The lower end of the 95 % interval.
    pub low: f64,
    /// The upper end of the 95 % interval.
    pub high: f64,
}

impl Rate {
    /// The rate with its two-sided interval.
    pub fn of(hits: u64, trials: u64) -> Self {
        let tail = (1.0 - CONFIDENCE) / 2.0;
        Self {
            hits,
            trials,
            low: lower_bound(hits, trials, tail),
            high: upper_bound(hits, trials, tail),
        }
    }

    /// The share that was measured; 0 if nothing was tried.
    pub fn share(&self) -> f64 {
        self.hits as f64 / self.trials.max(1) as f64
    }

    /// The share below which the true rate lies, with the chance of [`CONFIDENCE`]: one-sided, as
    /// nobody asks whether something fails too rarely. Without a hit it is the p for which
    /// (1 − p)ⁿ = 5 %, about 3/n: the "rule of three".
    pub fn below(&self) -> f64 {
        upper_bound(self.hits, self.trials, 1.0 - CONFIDENCE)
    }
}

/// How many trials without a hit show that the true rate is below a share.
pub fn trials_for(share: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "positive; too many for a number saturate"
    )]
    let trials = ((1.0 - CONFIDENCE).ln() / (-share).ln_1p()).ceil() as u64;
    trials
}

/// The rate at which so few hits have only the chance `tail`.
fn upper_bound(hits: u64, trials: u64, tail: f64) -> f64 {
    if hits >= trials {
        return 1.0;
    }
    let (a, b) = (hits as f64 + 1.0, (trials - hits) as f64);
    quantile(a, b, 1.0 - tail)
}

/// The rate at which so many hits have only the chance `tail`.
fn lower_bound(hits: u64, trials: u64, tail: f64) -> f64 {
    if hits == 0 || trials == 0 {
        return 0.0;
    }
    let (a, b) = (hits as f64, trials.saturating_sub(hits) as f64 + 1.0);
    quantile(a, b, tail)
}

/// Where the beta distribution reaches `share`, by bisection.
fn quantile(a: f64, b: f64, share: f64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..HALVINGS {
        let middle = 0.5 * (low + high);
        if beta(a, b, middle) < share {
            low = middle;
        } else {
            high = middle;
        }
    }
    0.5 * (low + high)
}

/// The regularised incomplete beta function I_x(a, b), for a and b of at least 1.
fn beta(a: f64, b: f64, x: f64) -> f64 {
    // Each half converges fast on its own side of the mean.
    if x <= (a + 1.0) / (a + b + 2.0) {
        beta_fraction(a, b, x)
    } else {
        1.0 - beta_fraction(b, a, 1.0 - x)
    }
}

/// The same as a continued fraction (DLMF 8.17.22), evaluated from the front (Lentz 1976).
fn beta_fraction(a: f64, b: f64, x: f64) -> f64 {
    const TINY: f64 = 1e-300;
    const STEPS_MAX: u32 = 100_000;
    if x <= 0.0 {
        return 0.0;
    }
    let log = ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) + a * x.ln() + b * (-x).ln_1p();
    let away = |value: f64| if value.abs() < TINY { TINY } else { value };
    let (mut fraction, mut c, mut d) = (1.0, 1.0, 0.0);
    for step in 0..STEPS_MAX {
        let m = f64::from(step / 2);
        let term = match step {
            0 => 1.0,
            _ if step % 2 == 0 => m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m)),
            _ => -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0)),
        };
        d = away(1.0 + term * d).recip();
        c = away(1.0 + term / c);
        let change = c * d;
        fraction *= change;
        if step > 0 && (change - 1.0).abs() < 1e-14 {
            break;
        }
    }
    log.exp() * (fraction - 1.0) / a
}

/// The logarithm of the gamma function, by Stirling's series (DLMF 5.11.1) from 10 on and the
/// recurrence below.
fn ln_gamma(x: f64) -> f64 {
    let (mut x, mut below) = (x, 0.0);
    while x < 10.0 {
        below += x.ln();
        x += 1.0;
    }
    let inverse = x.recip();
    let square = inverse * inverse;
    let series =
        inverse * (1.0 / 12.0 - square * (1.0 / 360.0 - square * (1.0 / 1260.0 - square / 1680.0)));
    (x - 0.5) * x.ln() - x + 0.5 * std::f64::consts::TAU.ln() + series - below
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 5e-5
    }

    /// The chance of at most so many hits, term by term.
    fn chance_of_at_most(hits: u64, trials: u64, p: f64) -> f64 {
        let (mut term, mut sum) = ((1.0 - p).powi(trials as i32), 0.0);
        for k in 0..=hits {
            sum += term;
            term *= (trials - k) as f64 / (k + 1) as f64 * p / (1.0 - p);
        }
        sum
    }

    #[test]
    fn the_interval_is_that_of_clopper_and_pearson() {
        // Where nothing or all hit, the bounds are powers.
        let all = Rate::of(20, 20);
        assert!(close(all.low, 0.025_f64.powf(1.0 / 20.0)), "{all:?}");
        assert_eq!(all.high, 1.0);
        let none = Rate::of(0, 60);
        assert!(
            close(none.high, 1.0 - 0.025_f64.powf(1.0 / 60.0)),
            "{none:?}"
        );
        assert_eq!(none.low, 0.0);
        // A value from tables: 10 of 100.
        let ten = Rate::of(10, 100);
        assert!(
            close(ten.low, 0.04900) && close(ten.high, 0.17622),
            "{ten:?}"
        );
        let nothing = Rate::of(0, 0);
        assert_eq!((nothing.low, nothing.high), (0.0, 1.0));
    }

    #[test]
    fn at_each_bound_what_was_seen_has_the_chance_of_its_tail() {
        for (hits, trials) in [(1, 1), (1, 7), (3, 20), (19, 20), (50, 400), (90, 100)] {
            let rate = Rate::of(hits, trials);
            let more = 1.0 - chance_of_at_most(hits - 1, trials, rate.low);
            assert!((more - 0.025).abs() < 1e-9, "{rate:?}: {more}");
            if hits < trials {
                let fewer = chance_of_at_most(hits, trials, rate.high);
                assert!((fewer - 0.025).abs() < 1e-9, "{rate:?}: {fewer}");
                let fewer = chance_of_at_most(hits, trials, rate.below());
                assert!((fewer - 0.05).abs() < 1e-9, "{rate:?}: {fewer}");
            }
        }
    }

    #[test]
    fn without_a_hit_the_rule_of_three_holds() {
        assert!(close(Rate::of(0, 1_000).below(), 0.002_991));
        assert!((Rate::of(0, 1_000_000).below() - 2.9957e-6).abs() < 1e-9);
        assert_eq!(trials_for(0.01), 299);
        let fewest = trials_for(0.01);
        assert!(Rate::of(0, fewest).below() < 0.01);
        assert!(Rate::of(0, fewest - 1).below() >= 0.01);
    }
}

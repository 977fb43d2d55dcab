//! How late bytes arrive: distributions of delays, each with correlation.
//!
//! A delay is drawn by way of a standard normal number that depends on the one before (an
//! autoregressive process of first order), mapped through the distribution's inverse. So delays
//! that follow each other are alike as asked, and yet each by itself has exactly its distribution
//! (a Gaussian copula).

use std::f64::consts::{SQRT_2, TAU};
use std::time::Duration;

use rand::RngExt;
use rand_pcg::Pcg64Mcg;
use serde::{Deserialize, Serialize};

/// How delays are spread between the least and the most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Distribution {
    /// All the same: the middle.
    Constant,
    /// Every delay is as likely as every other.
    #[default]
    Uniform,
    /// Around the middle: 99.7 % are drawn from between the ends, the rest come at an end.
    Normal,
    /// Most near the least, a few far out: the mean is a fifth of the way; cut off at the most
    /// (0.7 % come there).
    Exponential,
}

/// How late bytes arrive: `base` plus a share of `jitter`, drawn anew for each chunk that is read.
/// Bytes of one connection never overtake each other.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Delay {
    /// The least delay.
    pub base: Duration,
    /// The most that is added to it.
    pub jitter: Duration,
    /// How that is spread.
    pub distribution: Distribution,
    /// How much each delay is like the one before: 0 not at all, 1 the same.
    pub correlation: f64,
}

impl Delay {
    /// Whether there is none.
    pub fn is_zero(&self) -> bool {
        self.base.is_zero() && self.jitter.is_zero()
    }

    /// Both at once: least and most add up. Of two spreads the wider gives the distribution.
    pub(super) fn over(&self, other: &Self) -> Self {
        let wider = if self.jitter >= other.jitter {
            self
        } else {
            other
        };
        Self {
            base: self.base + other.base,
            jitter: self.jitter + other.jitter,
            ..*wider
        }
    }

    /// The delay where a standard normal number is `z`.
    fn at(&self, z: f64) -> Duration {
        let share = match self.distribution {
            Distribution::Constant => 0.5,
            Distribution::Uniform => below(z),
            Distribution::Normal => 0.5 + z / 6.0,
            Distribution::Exponential => -below(-z).ln() / 5.0,
        };
        self.base + self.jitter.mul_f64(share.clamp(0.0, 1.0))
    }
}

/// Normal numbers, each like the one before.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wave {
    last: Option<f64>,
}

impl Wave {
    /// The next delay.
    pub(super) fn next(&mut self, delay: &Delay, chance: &mut Pcg64Mcg) -> Duration {
        if delay.jitter.is_zero() {
            return delay.base;
        }
        let fresh = normal(chance);
        let rho = delay.correlation.clamp(0.0, 1.0);
        let z = match self.last {
            Some(last) => rho * last + (1.0 - rho * rho).sqrt() * fresh,
            None => fresh,
        };
        self.last = Some(z);
        delay.at(z)
    }
}

/// A standard normal number (G. Box, M. Muller, "A Note on the Generation of Random Normal
/// Deviates", Annals of Mathematical Statistics 29, 1958).
fn normal(chance: &mut Pcg64Mcg) -> f64 {
    // Not zero, which has no logarithm.
    let radius = (-2.0 * (1.0 - chance.random::<f64>()).ln()).sqrt();
    radius * (TAU * chance.random::<f64>()).cos()
}

/// How likely a standard normal number is to be below `z`, to seven digits and never zero (M.
/// Abramowitz, I. Stegun, "Handbook of Mathematical Functions", 1964, 7.1.26).
fn below(z: f64) -> f64 {
    let x = z.abs() / SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * x);
    let polynomial = [
        1.061_405_429,
        -1.453_152_027,
        1.421_413_741,
        -0.284_496_736,
        0.254_829_592,
    ]
    .into_iter()
    .fold(0.0, |sum, factor| (sum + factor) * t);
    let tail = (polynomial * (-x * x).exp() / 2.0).max(f64::MIN_POSITIVE);
    if z < 0.0 { tail } else { 1.0 - tail }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chance::stream;

    const DRAWS: usize = 20_000;

    /// Delays from 10 to 110 ms, in milliseconds.
    fn draw(distribution: Distribution, correlation: f64) -> Vec<f64> {
        let delay = Delay {
            base: Duration::from_millis(10),
            jitter: Duration::from_millis(100),
            distribution,
            correlation,
        };
        let (mut wave, mut chance) = (Wave::default(), stream(1, &["spread"]));
        let next = || wave.next(&delay, &mut chance).as_secs_f64() * 1e3;
        std::iter::repeat_with(next).take(DRAWS).collect()
    }

    fn mean(of: &[f64]) -> f64 {
        of.iter().sum::<f64>() / of.len() as f64
    }

    fn deviation(of: &[f64]) -> f64 {
        let mean = mean(of);
        let squares: Vec<f64> = of.iter().map(|x| (x - mean).powi(2)).collect();
        self::mean(&squares).sqrt()
    }

    /// How much each is like the one before: Pearson's coefficient.
    fn likeness(of: &[f64]) -> f64 {
        let (mean, deviation) = (mean(of), deviation(of));
        let products: Vec<f64> = of
            .windows(2)
            .map(|pair| (pair[0] - mean) * (pair[1] - mean))
            .collect();
        self::mean(&products) / deviation.powi(2)
    }

    #[test]
    fn every_distribution_has_its_mean_and_deviation_with_and_without_correlation() {
        let expected = [
            (Distribution::Constant, 60.0, 0.0),
            (Distribution::Uniform, 60.0, 28.9),
            (Distribution::Normal, 60.0, 16.6),
            (Distribution::Exponential, 29.9, 19.5),
        ];
        for (distribution, middle, width) in expected {
            for correlation in [0.0, 0.5] {
                let drawn = draw(distribution, correlation);
                assert!(drawn.iter().all(|ms| (10.0..=110.0).contains(ms)));
                let (mean, deviation) = (mean(&drawn), deviation(&drawn));
                assert!((mean - middle).abs() < 1.5, "{distribution:?}: {mean}");
                let off = (deviation - width).abs();
                assert!(off < 1.0, "{distribution:?}: {deviation}");
            }
        }
    }

    #[test]
    fn delays_are_as_like_each_other_as_asked() {
        for asked in [0.0, 0.5, 0.9] {
            for distribution in [Distribution::Uniform, Distribution::Normal] {
                let likeness = likeness(&draw(distribution, asked));
                assert!((likeness - asked).abs() < 0.06, "{asked}: {likeness}");
            }
        }
        let same = draw(Distribution::Uniform, 1.0);
        assert!(same.iter().all(|ms| *ms == same[0]));
    }

    #[test]
    fn of_two_delays_least_and_most_add_up() {
        let one = Delay {
            base: Duration::from_millis(1),
            jitter: Duration::from_millis(2),
            distribution: Distribution::Normal,
            correlation: 0.5,
        };
        let other = Delay {
            base: Duration::from_millis(10),
            ..Delay::default()
        };
        for both in [one.over(&other), other.over(&one)] {
            let least = Duration::from_millis(11);
            assert_eq!(Delay { base: least, ..one }, both);
        }
    }
}

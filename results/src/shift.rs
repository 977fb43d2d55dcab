//! How much larger one set of measurements is than another: medians, and an interval for the shift.

use crate::rate::CONFIDENCE;

/// Pairs up to which the distribution is computed exactly; beyond, it is as good as normal.
const PAIRS_EXACT_MAX: usize = 2_500;
/// The 97.5 % quantile of the normal distribution.
const NORMAL: f64 = 1.959_963_984_540_054;

/// The median; `None` of nothing.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = *sorted.get(sorted.len() / 2)?;
    let lower = *sorted.get((sorted.len() - 1) / 2)?;
    Some(f64::midpoint(lower, upper))
}

/// The 95 % interval of how much larger a value of `now` is than one of `then`, for distributions of
/// any shape (Hodges & Lehmann 1963, from the rank sums of Mann & Whitney 1947). `None` if there are
/// too few for any such interval: it takes four on each side, or more on one.
pub fn interval(then: &[f64], now: &[f64]) -> Option<(f64, f64)> {
    let mut differences: Vec<f64> = then
        .iter()
        .flat_map(|then| now.iter().map(move |now| now - then))
        .collect();
    differences.sort_by(f64::total_cmp);
    let outside = outside(then.len(), now.len())?;
    let low = differences.get(outside)?;
    let high = differences.get(differences.len().checked_sub(outside + 1)?)?;
    Some((*low, *high))
}

/// How many of the sorted differences lie outside the interval, at each end.
fn outside(m: usize, n: usize) -> Option<usize> {
    let tail = (1.0 - CONFIDENCE) / 2.0;
    let pairs = m * n;
    if pairs > PAIRS_EXACT_MAX {
        let (m, n) = (m as f64, n as f64);
        let bound = 0.5 * m * n - NORMAL * (m * n * (m + n + 1.0) / 12.0).sqrt();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "positive for so many pairs, and fewer than these"
        )]
        return Some((bound.floor() as usize).saturating_sub(1));
    }
    let ways = ways(m, n);
    let total: f64 = ways.iter().sum();
    let (mut sum, mut at_most) = (0.0, 0);
    for way in &ways {
        sum += way;
        if sum / total > tail {
            break;
        }
        at_most += 1;
    }
    // `at_most` values of the statistic, from 0 on, have at most the chance `tail`.
    (at_most > 0).then(|| at_most - 1)
}

/// In how many orders of m and n things so many pairs are inverted: the coefficients of the Gaussian
/// binomial, by multiplying with (1 − qⁿ⁺ⁱ) and dividing by (1 − qⁱ) in turn.
fn ways(m: usize, n: usize) -> Vec<f64> {
    let pairs = m * n;
    let mut ways = vec![0.0; pairs + 1];
    if let Some(first) = ways.first_mut() {
        *first = 1.0;
    }
    for i in 1..=m {
        for at in (n + i..=pairs).rev() {
            ways[at] -= ways[at - n - i];
        }
        for at in i..=pairs {
            ways[at] += ways[at - i];
        }
    }
    ways
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_lies_between_two() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0]), Some(3.0));
        assert_eq!(median(&[9.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[9.0, 1.0, 2.0, 4.0]), Some(3.0));
    }

    #[test]
    fn the_ways_are_those_of_mann_and_whitney() {
        // 2 of 4: 0 1 2 2 3 4 inversions.
        assert_eq!(ways(2, 2), [1.0, 1.0, 2.0, 1.0, 1.0]);
        assert_eq!(ways(5, 5).iter().sum::<f64>(), 252.0);
        // Their table: at 5 % two-sided, U ≤ 2 for 5 and 5, U ≤ 0 for 4 and 4, U ≤ 23 for 10 and 10.
        assert_eq!(outside(5, 5), Some(2));
        assert_eq!(outside(4, 4), Some(0));
        assert_eq!(outside(10, 10), Some(23));
        assert_eq!(outside(3, 3), None);
        assert_eq!(outside(1, 1), None);
    }

    #[test]
    fn many_pairs_are_as_good_as_normal() {
        let (m, n) = (49, 49);
        let exact = outside(m, n).unwrap() as f64;
        let (m, n) = (m as f64, n as f64);
        let normal = 0.5 * m * n - NORMAL * (m * n * (m + n + 1.0) / 12.0).sqrt();
        assert!((exact - normal).abs() < 3.0, "{exact} {normal}");
    }

    #[test]
    fn an_interval_covers_no_change_where_there_is_none() {
        let then = [10.0, 11.0, 12.0, 13.0, 14.0];
        let (low, high) = interval(&then, &[12.0, 11.5, 10.5, 13.5, 12.5]).unwrap();
        assert!(low < 0.0 && high > 0.0, "{low} {high}");
        let (low, high) = interval(&then, &[20.0, 21.0, 22.0, 23.0, 24.0]).unwrap();
        assert!(low > 5.0 && high < 15.0, "{low} {high}");
        assert_eq!(interval(&then[..1], &then), None);
    }
}

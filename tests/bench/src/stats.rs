// SPDX-License-Identifier: GPL-2.0

//! Medians, quartiles and their confidence intervals.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde::Serialize;
use statrs::statistics::{Data, OrderStatistics};
use std::fmt;

/// The number of samples that a bootstrap draws.
const RESAMPLES: usize = 10_000;

/// With fewer values than this, an interval goes from the least to the greatest.
const FEW: usize = 6;

/// The statistics of a set of values.
#[derive(Serialize, Clone, Copy, PartialEq, Debug)]
pub struct Summary {
    pub median: f64,
    /// The lower quartile.
    pub q1: f64,
    /// The upper quartile.
    pub q3: f64,
    /// The number of values.
    pub n: usize,
}

/// A median and its 95% interval: by bootstrap or, with few values, from the least to the greatest.
#[derive(Serialize, Clone, Copy, PartialEq, Debug)]
pub struct Interval {
    pub median: f64,
    pub low: f64,
    pub high: f64,
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { median, low, high } = self;
        // With three digits.
        let decimals = match median.abs() {
            m if m >= 99.5 => 0,
            m if m >= 9.95 => 1,
            _ => 2,
        };
        write!(
            f,
            "{median:.decimals$} ({low:.decimals$}-{high:.decimals$})"
        )
    }
}

/// Summarises values, of which there must be at least one.
pub fn summary(values: &[f64]) -> Summary {
    let mut data = Data::new(values.to_vec());
    Summary {
        median: data.median(),
        q1: data.lower_quartile(),
        q3: data.upper_quartile(),
        n: values.len(),
    }
}

/// The median of the ratios of two series, round by round, up to the end of the shorter one.
pub fn ratio(numerators: &[f64], denominators: &[f64]) -> Interval {
    let ratios: Vec<f64> = numerators
        .iter()
        .zip(denominators)
        .map(|(a, b)| a / b)
        .collect();
    median_interval(&ratios)
}

/// The median of values, of which there must be at least one.
pub fn median_interval(values: &[f64]) -> Interval {
    let median = median(values);
    if values.len() < FEW {
        return Interval {
            median,
            low: values.iter().copied().fold(f64::INFINITY, f64::min),
            high: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        };
    }
    // A fixed seed: the same values give the same interval.
    let mut rng = StdRng::seed_from_u64(1);
    let mut resample = vec![0.0; values.len()];
    let medians: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            resample.fill_with(|| values[rng.random_range(0..values.len())]);
            self::median(&resample)
        })
        .collect();
    let mut medians = Data::new(medians);
    Interval {
        median,
        low: medians.quantile(0.025),
        high: medians.quantile(0.975),
    }
}

/// The median of values, of which there must be at least one.
pub fn median(values: &[f64]) -> f64 {
    Data::new(values.to_vec()).median()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles() {
        let s = summary(&[5.0, 1.0, 4.0, 2.0, 3.0]);
        assert_eq!((s.median, s.n), (3.0, 5));
        assert!(s.q1 >= 1.0 && s.q1 <= 2.0 && s.q3 >= 4.0 && s.q3 <= 5.0);
    }

    #[test]
    fn ratio_of_rounds() {
        let ours = [1.0, 2.0, 4.0];
        let theirs = [6.0, 14.0, 32.0, 1000.0];
        let r = ratio(&theirs, &ours);
        assert_eq!((r.median, r.low, r.high), (7.0, 6.0, 8.0));
    }

    #[test]
    fn interval_of_many() {
        let values: Vec<f64> = (0..101).map(f64::from).collect();
        let i = median_interval(&values);
        assert_eq!(i.median, 50.0);
        assert!(i.low > 30.0 && i.low < 50.0 && i.high > 50.0 && i.high < 70.0);
    }
}

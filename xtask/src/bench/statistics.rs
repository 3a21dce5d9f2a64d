//! What a handful of noisy numbers says.

use serde::Serialize;

/// Of a set of measurements. Quartiles are interpolated between ranks.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    pub count: usize,
    pub min: f64,
    pub lower_quartile: f64,
    pub median: f64,
    pub upper_quartile: f64,
    pub max: f64,
    /// Between these two measurements lies the median of all possible ones, with a confidence of at least 95 %,
    /// however they are distributed. Nothing: there are too few for that.
    pub median_interval: Option<(f64, f64)>,
}

impl Spread {
    /// Nothing of nothing.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = values.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        Some(Self {
            count: sorted.len(),
            min: *sorted.first()?,
            lower_quartile: quantile(&sorted, 0.25)?,
            median: quantile(&sorted, 0.5)?,
            upper_quartile: quantile(&sorted, 0.75)?,
            max: *sorted.last()?,
            median_interval: median_interval(&sorted),
        })
    }
}

fn quantile(sorted: &[f64], at: f64) -> Option<f64> {
    let position = at * sorted.len().checked_sub(1)? as f64;
    let below = sorted.get(position.floor() as usize)?;
    let above = sorted.get(position.ceil() as usize)?;
    Some(below + (above - below) * position.fract())
}

/// How many measurements are below the true median is like so many tosses of a coin. As many ranks are left out
/// at each end as together have less than 5 % of the chances.
fn median_interval(sorted: &[f64]) -> Option<(f64, f64)> {
    let count = sorted.len();
    let mut chance = 0.5_f64.powi(i32::try_from(count).ok()?);
    let mut below = 0.0;
    let mut rank = 0;
    while rank < count && 2.0 * (below + chance) <= 0.05 {
        below += chance;
        chance *= (count - rank) as f64 / (rank + 1) as f64;
        rank += 1;
    }
    Some((*sorted.get(rank.checked_sub(1)?)?, *sorted.get(count.checked_sub(rank)?)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn up_to(last: u32) -> Spread {
        Spread::of((1..=last).map(f64::from)).unwrap()
    }

    #[test]
    fn quartiles_lie_between_ranks() {
        let spread = Spread::of([4.0, 1.0, 2.0, 3.0]).unwrap();
        assert_eq!((spread.min, spread.max, spread.count), (1.0, 4.0, 4));
        assert_eq!((spread.lower_quartile, spread.median, spread.upper_quartile), (1.75, 2.5, 3.25));
        assert_eq!(Spread::of([]), None);
    }

    #[test]
    fn interval_of_the_median_is_that_of_the_sign_test() {
        // The ranks are in every table of it.
        assert_eq!(up_to(5).median_interval, None);
        assert_eq!(up_to(6).median_interval, Some((1.0, 6.0)));
        assert_eq!(up_to(10).median_interval, Some((2.0, 9.0)));
        assert_eq!(up_to(24).median_interval, Some((7.0, 18.0)));
    }
}

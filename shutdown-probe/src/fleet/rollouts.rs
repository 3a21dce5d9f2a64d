//! Which rollouts there were, and what was lost in them: in the pieces of time in which pods were replaced, which is
//! how the recording rule has it.

use super::answer::Series;
use super::questions::Period;
use std::collections::BTreeSet;

/// The rollouts of one workload in a window.
#[derive(Debug, PartialEq)]
pub struct Rollouts {
    /// How many: pieces that follow each other are one.
    pub count: u64,
    /// What was severed in all of them.
    pub severed: f64,
}

impl Rollouts {
    /// From the growth of severed connections and of terminations.
    pub fn of(severed: &[&Series], terminations: &[&Series], period: &Period) -> Self {
        let piece = |at: f64| (at / period.piece as f64).round() as u64;
        let values = |series: &[&Series]| -> Vec<(u64, f64)> {
            let values = series.iter().flat_map(|series| &series.values);
            values.filter(|(at, _)| period.has(*at)).map(|(at, value)| (piece(*at), *value)).collect()
        };
        let of_rollouts: Vec<&Series> =
            terminations.iter().copied().filter(|series| series.label("trigger") == "rollout").collect();
        let pieces: BTreeSet<u64> = values(&of_rollouts).into_iter().map(|(piece, _)| piece).collect();
        let starts = pieces.iter().filter(|piece| !pieces.contains(&(*piece - 1)));
        let lost = values(severed).into_iter().filter(|(piece, _)| pieces.contains(piece));
        Self { count: starts.count() as u64, severed: lost.map(|(_, value)| value).sum() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(trigger: &str, values: &[(f64, f64)]) -> Series {
        Series { labels: [("trigger".to_owned(), trigger.to_owned())].into(), values: values.to_vec() }
    }

    #[test]
    fn a_rollout_is_a_run_of_pieces_in_which_pods_were_replaced() {
        let period = Period { end: 1000, piece: 100, pieces: 8 };
        let severed = series("", &[(200.0, 50.0), (300.0, 1.0), (400.0, 2.0), (500.0, 4.0), (900.0, 8.0)]);
        let rolled = series("rollout", &[(200.0, 1.0), (400.0, 3.0), (500.0, 3.0), (800.0, 2.0)]);
        let scaled = series("scaled_down", &[(900.0, 1.0)]);
        let found = Rollouts::of(&[&severed], &[&rolled, &scaled], &period);
        assert_eq!(found, Rollouts { count: 2, severed: 6.0 });
    }
}

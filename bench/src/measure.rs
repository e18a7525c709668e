//! Figures of Terrane and of a peer, their medians, their ratios, and what is wanted of them.

/// Which way is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// Throughput.
    Higher,
    /// Time.
    Lower,
}

/// One measurement of both.
#[derive(Clone, Debug)]
pub struct Measurement {
    /// What was done.
    pub name: String,
    /// Of the figures.
    pub unit: &'static str,
    /// Which way is better.
    pub better: Better,
    /// What the project wants of the ratio, if it says.
    pub target: Option<f64>,
    /// What the project wants of Terrane's own figure, in the unit; only where higher is better.
    pub floor: Option<f64>,
    /// Terrane's figures, one a round.
    pub terrane: Vec<f64>,
    /// The peer's.
    pub peer: Vec<f64>,
    /// What is to be known about the figures, or why they are missing.
    pub note: Option<String>,
}

impl Measurement {
    /// Nothing measured yet.
    pub fn new(name: impl Into<String>, unit: &'static str, better: Better) -> Self {
        Self {
            name: name.into(),
            unit,
            better,
            target: None,
            floor: None,
            terrane: Vec::new(),
            peer: Vec::new(),
            note: None,
        }
    }

    /// With the ratio it must reach.
    pub fn wanting(mut self, target: f64) -> Self {
        self.target = Some(target);
        self
    }

    /// With the figure that Terrane must reach.
    pub fn wanting_at_least(mut self, floor: f64) -> Self {
        self.floor = Some(floor);
        self
    }

    /// How many times as good as the peer.
    pub fn ratio(&self) -> Option<f64> {
        let (ours, theirs) = (median(&self.terrane)?, median(&self.peer)?);
        Some(match self.better {
            Better::Higher => ours / theirs,
            Better::Lower => theirs / ours,
        })
    }

    /// True where something is wanted and was not reached. What was not measured misses nothing.
    pub fn misses(&self) -> bool {
        let below = |wanted: Option<f64>, found: Option<f64>| matches!((wanted, found), (Some(wanted), Some(found)) if found < wanted);
        below(self.target, self.ratio()) || below(self.floor, median(&self.terrane))
    }
}

/// The middle figure; of an even number the mean of the two.
pub fn median(figures: &[f64]) -> Option<f64> {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match (sorted.len(), sorted.len() % 2) {
        (0, _) => None,
        (_, 1) => Some(sorted[middle]),
        _ => Some((sorted[middle - 1] + sorted[middle]) / 2.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_ratios() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        let mut time = Measurement::new("t", "s", Better::Lower);
        assert_eq!(time.ratio(), None);
        time.terrane = vec![1.0];
        time.peer = vec![5.0];
        assert_eq!(time.ratio(), Some(5.0));
        let rate = Measurement { better: Better::Higher, ..time };
        assert_eq!(rate.ratio(), Some(0.2));
    }

    #[test]
    fn a_ratio_or_a_figure_below_what_is_wanted_misses() {
        let mut rate =
            Measurement::new("r", "1/s", Better::Higher).wanting(2.0).wanting_at_least(10.0);
        assert!(!rate.misses());
        (rate.terrane, rate.peer) = (vec![12.0], vec![6.0]);
        assert!(!rate.misses());
        rate.peer = vec![7.0];
        assert!(rate.misses());
        (rate.terrane, rate.peer) = (vec![9.0], vec![1.0]);
        assert!(rate.misses());
    }
}

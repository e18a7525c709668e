//! Figures of peers, their medians, their ratios.

/// Which way is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// Throughput.
    Higher,
    /// Time.
    Lower,
}

/// One measurement of both peers.
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
    /// Terrane's figures, one a round.
    pub terrane: Vec<f64>,
    /// PostgreSQL's.
    pub postgresql: Vec<f64>,
    /// Why figures are missing.
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
            terrane: Vec::new(),
            postgresql: Vec::new(),
            note: None,
        }
    }

    /// With the ratio it must reach.
    pub fn wanting(mut self, target: f64) -> Self {
        self.target = Some(target);
        self
    }

    /// How many times as good as PostgreSQL.
    pub fn ratio(&self) -> Option<f64> {
        let (ours, theirs) = (median(&self.terrane)?, median(&self.postgresql)?);
        Some(match self.better {
            Better::Higher => ours / theirs,
            Better::Lower => theirs / ours,
        })
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
        time.postgresql = vec![5.0];
        assert_eq!(time.ratio(), Some(5.0));
        let rate = Measurement { better: Better::Higher, ..time };
        assert_eq!(rate.ratio(), Some(0.2));
    }
}

//! What was measured, and what it is held against.

/// Milliseconds or counts of one subject, a value a round.
#[derive(Debug, Clone)]
pub(crate) struct Series {
    pub(crate) name: String,
    values: Vec<f64>,
}

impl Series {
    pub(crate) fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            values: Vec::new(),
        }
    }

    pub(crate) fn push(&mut self, value: f64) {
        self.values.push(value);
    }

    /// The middle of what was measured.
    pub(crate) fn median(&self) -> f64 {
        let mut sorted = self.values.clone();
        sorted.sort_by(f64::total_cmp);
        match sorted.len() {
            0 => f64::NAN,
            odd if odd % 2 == 1 => sorted[odd / 2],
            even => f64::midpoint(sorted[even / 2 - 1], sorted[even / 2]),
        }
    }

    /// The least.
    pub(crate) fn min(&self) -> f64 {
        self.values.iter().copied().fold(f64::INFINITY, f64::min)
    }

    /// The most.
    pub(crate) fn max(&self) -> f64 {
        self.values.iter().copied().fold(f64::NEG_INFINITY, f64::max)
    }
}

/// A row of the table of figures.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    /// As the blueprint counts them.
    pub(crate) number: u32,
    pub(crate) what: String,
    /// Ours first, then what it is compared with.
    pub(crate) series: Vec<Series>,
    pub(crate) unit: &'static str,
    pub(crate) goal: String,
    /// The figure that is held against the goal, in words.
    pub(crate) figure: String,
    pub(crate) met: bool,
}

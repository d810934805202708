//! What a test of faults did, and what was lost: printed as a table at its end, also when it fails.

use std::fmt::Write as _;

/// One row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Row {
    /// Runs that were started under the fault.
    pub runs: usize,
    /// Starts that the witness heard.
    pub starts: usize,
    /// Steps that were to run and never did, or whose result or log is not what it was.
    pub lost: usize,
    /// Starts beyond the first of an attempt.
    pub doubled: usize,
    /// Attempts in doubt: they may have run, and nobody knows how they ended.
    pub unknown: usize,
    /// A measured figure, in words.
    pub figure: String,
}

/// The table.
#[derive(Debug)]
pub struct Ledger {
    title: String,
    rows: Vec<(String, Row)>,
}

impl Ledger {
    /// An empty one.
    #[must_use]
    pub fn new(title: &str) -> Self {
        Self {
            title: title.to_owned(),
            rows: Vec::new(),
        }
    }

    /// Adds to the row of a fault; a figure replaces the one before.
    pub fn add(&mut self, fault: &str, row: Row) {
        let at = self.rows.iter().position(|(name, _)| name == fault);
        let at = at.unwrap_or_else(|| {
            self.rows.push((fault.to_owned(), Row::default()));
            self.rows.len() - 1
        });
        let sum = &mut self.rows[at].1;
        sum.runs += row.runs;
        sum.starts += row.starts;
        sum.lost += row.lost;
        sum.doubled += row.doubled;
        sum.unknown += row.unknown;
        if !row.figure.is_empty() {
            sum.figure = row.figure;
        }
    }

    /// The table in Markdown.
    #[must_use]
    pub fn table(&self) -> String {
        let mut text = format!(
            "\n{}\n\n| fault | runs | starts | lost | doubled | unknown | figure |\n|---|---|---|---|---|---|---|\n",
            self.title
        );
        for (fault, row) in &self.rows {
            let Row {
                runs,
                starts,
                lost,
                doubled,
                unknown,
                figure,
            } = row;
            writeln!(
                text,
                "| {fault} | {runs} | {starts} | {lost} | {doubled} | {unknown} | {figure} |"
            )
            .expect("a string takes all");
        }
        text
    }
}

impl Drop for Ledger {
    fn drop(&mut self) {
        eprintln!("{}", self.table());
    }
}

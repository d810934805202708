//! The list, a page or all of them.

use sdk::{Client, RunFilter, RunView};

use super::{HEADING, brief, row};
use crate::{
    exit::{Done, Exit, Fault},
    out, table,
};

/// Prints a page, or page after page: nothing is held but the page at hand.
pub(super) async fn main(client: &Client, mut filter: RunFilter, all: bool, json: bool) -> Done {
    let mut printer = Printer { json, printed: 0 };
    let next = loop {
        let page = client.runs_page(&filter).await?;
        printer.page(&page.items)?;
        match page.next {
            Some(next) if all => filter.page_token = next,
            next => break next,
        }
    };
    printer.end()?;
    if let Some(next) = next {
        out::note(&format!(
            "more: the same command with --page {next}, or with --all"
        ));
    }
    Ok(Exit::Succeeded)
}

struct Printer {
    json: bool,
    printed: usize,
}

impl Printer {
    fn page(&mut self, runs: &[RunView]) -> Result<(), Fault> {
        if self.json {
            for run in runs {
                let open = if self.printed == 0 { "[\n" } else { ",\n" };
                out::bytes(format!("{open}  {}", one(run)?).as_bytes())?;
                self.printed += 1;
            }
            return Ok(());
        }
        let rows: Vec<Vec<String>> = runs.iter().map(row).collect();
        // A later page has no heading of its own.
        let skip = usize::from(self.printed > 0 || runs.is_empty());
        self.printed += runs.len();
        table::layout(&HEADING, &rows)
            .iter()
            .skip(skip)
            .try_for_each(|line| out::line(line))
    }

    fn end(&self) -> Result<(), Fault> {
        match (self.json, self.printed) {
            (true, 0) => out::line("[]"),
            (true, _) => out::line("\n]"),
            (false, 0) => {
                out::note("no runs");
                Ok(())
            }
            (false, _) => Ok(()),
        }
    }
}

/// A run's promised form on one line.
pub(super) fn one(run: &RunView) -> Result<String, Fault> {
    serde_json::to_string(&brief(run))
        .map_err(|error| Fault::failed(format!("the answer has no JSON form: {error}")))
}

//! The list as it changes: a table that redraws itself in a terminal; elsewhere a line for each run that is new or changed.

use std::{collections::BTreeMap, time::Duration};

use sdk::{Client, RunFilter, RunView};
use tokio::time::Instant;

use super::{HEADING, list, row};
use crate::{
    exit::{Done, Exit, Fault},
    live, out, table, text,
};

/// Between two looks.
const PAUSE: Duration = Duration::from_secs(1);

enum View {
    Table(live::Picture),
    Lines,
    Json,
}

pub(super) async fn main(client: &Client, mut filter: RunFilter, format: out::Format) -> Done {
    let mut view = match format {
        out::Format::Json => View::Json,
        _ if out::is_terminal() => View::Table(live::Picture::default()),
        _ => View::Lines,
    };
    if let View::Table(_) = view {
        filter.limit = filter.limit.min(rows_of_terminal());
    }
    let mut seen: BTreeMap<String, RunView> = BTreeMap::new();
    let mut away: Option<Instant> = None;
    let interrupt = tokio::signal::ctrl_c();
    tokio::pin!(interrupt);
    loop {
        let runs = tokio::select! {
            biased;
            _ = &mut interrupt => return Err(Fault::new(Exit::Interrupted, "")),
            page = client.runs_page(&filter) => page,
        };
        match runs {
            Ok(page) => {
                away = None;
                view.show(&page.items, &seen)?;
                seen = page.items.into_iter().map(|run| (run.id.clone(), run)).collect();
            }
            Err(error) if error.is_unreachable() => {
                let patience = client.timeouts().away;
                let since = *away.get_or_insert_with(|| {
                    out::note(&format!(
                        "firehall: {}; trying again",
                        text::line(&error.to_string())
                    ));
                    Instant::now()
                });
                if since.elapsed() >= patience {
                    return Err(Fault::from(error).hint(format!("given up after {patience:?}")));
                }
            }
            Err(error) => return Err(error.into()),
        }
        tokio::select! {
            biased;
            _ = &mut interrupt => return Err(Fault::new(Exit::Interrupted, "")),
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
}

/// What fits without scrolling: a heading above, the cursor below.
fn rows_of_terminal() -> u32 {
    u32::try_from(live::size().1.saturating_sub(2))
        .unwrap_or(u32::MAX)
        .max(1)
}

impl View {
    fn show(&mut self, runs: &[RunView], seen: &BTreeMap<String, RunView>) -> Result<(), Fault> {
        if let Self::Table(picture) = self {
            let rows: Vec<Vec<String>> = runs.iter().map(row).collect();
            let mut lines = table::layout(&HEADING, &rows);
            // A narrow terminal has several lines for each run.
            lines.truncate(live::size().1.saturating_sub(1));
            return picture.show(&lines);
        }
        // The oldest first, as they happened.
        let changed = runs.iter().rev().filter(|run| seen.get(&run.id) != Some(run));
        for run in changed {
            match self {
                Self::Json => out::line(&list::one(run)?)?,
                _ => out::line(text::line(&row(run).join("  ")).trim_end())?,
            }
        }
        Ok(())
    }
}

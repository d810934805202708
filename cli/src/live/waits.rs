//! Why steps wait for an agent. The history does not say so, for it changes with the agents; the server does when asked.

use std::{collections::BTreeMap, time::Duration};

use sdk::{Client, live::LiveRun};
use tokio::sync::{mpsc, watch};
use tokio_util::task::AbortOnDropHandle;

use super::tree;

/// A step that is queued for less is not asked about; and the time between two questions.
const PAUSE: Duration = Duration::from_secs(1);

/// Reasons by step.
pub(super) type Reasons = BTreeMap<String, String>;

/// Asks as long as a step waits.
pub(super) struct Waits {
    wanted: watch::Sender<bool>,
    told: mpsc::Receiver<Reasons>,
    _asking: AbortOnDropHandle<()>,
}

impl Waits {
    pub(super) fn of(client: &Client, run: &str) -> Self {
        let (wanted, mut want) = watch::channel(false);
        let (tell, told) = mpsc::channel(1);
        let (client, run) = (client.clone(), run.to_owned());
        let asking = tokio::spawn(async move {
            while want.wait_for(|wanted| *wanted).await.is_ok() {
                tokio::time::sleep(PAUSE).await;
                // That a server is away is told by who reads the history.
                if let Ok(view) = client.run(&run).await {
                    let steps = view.steps.into_iter();
                    let reasons = steps
                        .filter_map(|step| Some((step.key, step.waits_for?)))
                        .collect();
                    if tell.send(reasons).await.is_err() {
                        return;
                    }
                }
            }
        });
        Self {
            wanted,
            told,
            _asking: AbortOnDropHandle::new(asking),
        }
    }

    /// Says whether anything waits.
    pub(super) fn want(&self, run: &LiveRun) {
        let wanted = run.ended.is_none() && run.steps.iter().any(tree::waits_for_agent);
        self.wanted
            .send_if_modified(|was| std::mem::replace(was, wanted) != wanted);
    }

    /// The next answer; never ready while nothing waits.
    pub(super) async fn next(&mut self) -> Reasons {
        match self.told.recv().await {
            Some(reasons) => reasons,
            None => std::future::pending().await,
        }
    }
}

/// Leaves out the steps that wait for other steps: that the graph shows already.
pub(super) fn only_for_agents(told: &mut Reasons, run: &LiveRun) {
    told.retain(|step, _| run.step(step).is_some_and(tree::waits_for_agent));
}

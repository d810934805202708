//! The pages of one run. A run of 10,000 steps is larger than a message of the API, so these pages are made from the folded
//! run itself; what they show is in the words that the API uses.

mod artifacts;
mod events;
mod facts;
mod history;
mod logs;
mod params;
mod show;
mod step;
mod told;
mod view;

use std::sync::Arc;

use ::pages::{Section, Shell, run::Head};
use axum::{
    Router,
    extract::{FromRef, Path, Query, State},
    routing::get,
};
use tonic::Status;
use types::RunId;

use self::{logs::Logs, params::Params};
use super::{
    answer,
    refusal::Refusal,
    streams::{self, Streams},
};
use crate::{
    Core,
    api::{convert, errors},
};

/// What these pages share.
#[derive(Clone)]
struct Room {
    core: Core,
    logs: Arc<Logs>,
    streams: Streams,
}

impl FromRef<Room> for Core {
    fn from_ref(room: &Room) -> Self {
        room.core.clone()
    }
}

pub(super) fn router(core: Core, streams: Streams) -> Router {
    Router::new()
        .route("/runs/{id}", get(show::page))
        .route("/runs/{id}/steps/{key}", get(step::page))
        .route("/runs/{id}/history", get(history::page))
        .route("/runs/{id}/history.json", get(history::download))
        .route("/runs/{id}/events", get(events::stream))
        .route("/runs/{id}/logs", get(logs::page))
        .route("/runs/{id}/logs/rows", get(logs::rows))
        .route("/runs/{id}/logs/search", get(logs::search))
        .route("/runs/{id}/logs/events", get(logs::stream))
        .route("/runs/{id}/logs.txt", get(logs::download))
        .route("/runs/{id}/artifacts/{step}/{name}", get(artifacts::download))
        .with_state(Room {
            core,
            logs: Arc::default(),
            streams,
        })
}

/// A request for something of a run.
struct Asked {
    id: RunId,
    params: Params,
}

type Pairs = Query<Vec<(String, String)>>;

impl Room {
    fn asked(&self, id: &str, pairs: Pairs) -> Result<Asked, Status> {
        Ok(Asked {
            id: convert::id(id, "run_id")?,
            params: Params(pairs.0),
        })
    }

    fn refuse(&self, status: Status) -> Refusal {
        Refusal::new(&self.core, status)
    }

    /// Looks at a run as it is now.
    async fn look<T>(&self, id: &RunId, look: impl FnOnce(&engine::Run) -> T) -> Result<T, Status> {
        let seen = self.core.runs.look(id, look).await;
        seen.map_err(|error| errors::store_status(&error))?
            .ok_or_else(|| errors::no_run(id))
    }

    /// Whether the definition of a run has a page of its own: one that was run from a file has none.
    async fn kept(&self, head: &mut Head) -> Result<(), Status> {
        let row = self
            .core
            .store
            .workflow(&head.run.workflow, Some(&head.version))
            .await;
        head.kept = row.map_err(|error| errors::store_status(&error))?.is_some();
        Ok(())
    }

    /// What stands around a page of a run; while it goes on, the page is made anew after each event.
    fn shell(&self, head: &Head, of: &str) -> Shell {
        let mut shell = super::shell(&self.core, Section::Runs, head.title(of));
        shell.live = head
            .live()
            .then(|| format!("{}/events?after={}&brief=1", head.base(), head.run.seq));
        shell
    }
}

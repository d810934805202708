//! `GET /runs/{id}`.

use axum::response::Response;
use tonic::Status;

use super::{Pairs, Path, Refusal, Room, State, answer, view};
use ::pages::run;

pub(super) async fn page(
    State(room): State<Room>,
    Path(id): Path<String>,
    pairs: Pairs,
) -> Result<Response, Refusal> {
    let page = load(&room, &id, pairs).await;
    page.map(|page| answer(&page))
        .map_err(|status| room.refuse(status))
}

async fn load(room: &Room, id: &str, pairs: Pairs) -> Result<run::Run, Status> {
    let asked = room.asked(id, pairs)?;
    let (state, q, page) = (
        asked.params.text("state")?,
        asked.params.text("q")?,
        asked.params.page()?,
    );
    let agents = room.core.agents.snapshot();
    let now = room.core.clock.now();
    let (mut head, graph, list) = room
        .look(&asked.id, |run| {
            failpoint::reach_of("page.run", &run.plan.name);
            let list = view::list(run, &agents, state, q, page);
            (view::head(run), view::picture(run, &agents, now), list)
        })
        .await?;
    room.kept(&mut head).await?;
    Ok(run::Run {
        shell: room.shell(&head, ""),
        head,
        graph,
        list,
    })
}

//! Row 9: from the webhook to the staffed room and to the run's end.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use crate::{
    http,
    stack::{self, Stack},
    table::{Row, Series},
};

const ROOM: &str = "create-war-room";
const ROOM_MS: f64 = 400.0;
const RUN_MS: f64 = 1_000.0;

pub(crate) fn measure(rounds: usize) -> Result<Vec<Row>> {
    let mut room = Series::new("webhook to staffed room");
    let mut run = Series::new("webhook to the run's end");
    for round in 0..=rounds {
        // Slack allows few channels a minute, and so does its emulator: a fresh workspace for each round. The first
        // round warms the page cache.
        let (staffed, ended) = one(round)?;
        if round > 0 {
            room.push(staffed);
            run.push(ended);
        }
    }
    let (staffed, ended) = (room.median(), run.median());
    Ok(vec![Row {
        number: 9,
        what: "incident: webhook to staffed room / to the run's end, native, against the emulator".to_owned(),
        series: vec![room, run],
        unit: "ms",
        goal: format!("< {ROOM_MS:.0} / < {RUN_MS:.0} ms"),
        figure: format!("{staffed:.0} / {ended:.0} ms"),
        met: staffed < ROOM_MS && ended < RUN_MS,
    }])
}

/// A new deployment, one incident.
fn one(round: usize) -> Result<(f64, f64)> {
    let mut stack = Stack::start(false)?;
    let slack = stack.emulator()?;
    let api = format!("http://{slack}/api/");
    let env = [
        ("SLACK_API_URL", api.as_str()),
        ("SLACK_BOT_TOKEN", "xoxb-emulator-demo"),
    ];
    stack.agent("east", &["--label", "host=web-1", "--label", "host=web-2"], &env)?;
    stack.agent("west", &["--label", "host=db-1"], &env)?;
    stack.cli(&["put", "incident-response"])?;
    let alert = json!({
        "id": format!("bench-{round}"), "title": "Checkout is slow", "severity": "critical",
        "hosts": ["web-1", "web-2", "db-1"], "tags": ["service:checkout", "env:prod"],
    });
    let sent = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs_f64() * 1_000.0;
    let answer = http::post(stack.address, "/webhook/incident-response", &alert)?;
    let id = answer["run_id"].as_str().context("the alert started no run")?;
    let run = stack.ended(id)?;
    let steps = run["steps"].as_array().context("no steps")?;
    let room = steps
        .iter()
        .find(|step| step["key"] == ROOM)
        .context("no such step")?;
    let well = |value: &Value| value == "succeeded" || value == "degraded";
    if !well(&room["state"]) || !well(&run["outcome"]) {
        bail!(
            "the incident did not go well: {run}\n{}{}",
            stack.said("east"),
            stack.said("west")
        );
    }
    Ok((
        stack::millis(&room["finished_at"])? - sent,
        stack::millis(&run["finished_at"])? - sent,
    ))
}

//! Row 4: seven steps on the Docker runtime, against the Engine API asked directly.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use bollard::{
    Docker as Client,
    models::{ContainerCreateBody, HostConfig},
    query_parameters::{
        CreateContainerOptions, RemoveContainerOptions, StartContainerOptions, WaitContainerOptions,
    },
};
use tokio_stream::StreamExt as _;

use crate::{
    docker::{Docker, IMAGE},
    stack::{self, PATIENCE, Stack},
    steps::{STEPS, definition},
    table::{Row, Series},
};

const SOCKET: &str = "/var/run/docker.sock";
/// Of an answer of the daemon, seconds.
const TIMEOUT_S: u64 = 60;

pub(crate) fn measure(rounds: usize) -> Result<Row> {
    let docker = Docker::find().context("row 4 needs a Docker daemon (leave the row out with --only)")?;
    let tokio = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let client = Client::connect_with_unix(SOCKET, TIMEOUT_S, bollard::API_DEFAULT_VERSION)?;
    let mut stack = Stack::start(false)?;
    stack.agent("one", &["--runtime", "docker"], &[])?;
    let file = stack.file("docker.yaml", &definition(IMAGE))?;
    let mut ours = Series::new("Firehall: a run of 7 Docker containers, server and agent");
    let mut peer = Series::new("the Engine API: 7 x create, start, wait, remove");
    // The first of each warms caches and is not counted.
    for round in 0..=rounds {
        let peer_ms = tokio.block_on(async { tokio::time::timeout(PATIENCE, seven(&client)).await })??;
        let run = stack.run(&file)?;
        ensure!(
            run["outcome"] == "succeeded",
            "a measured run did not succeed: {run}"
        );
        if round > 0 {
            peer.push(peer_ms.as_secs_f64() * 1_000.0);
            ours.push(stack::took(&run)?);
        }
    }
    stack.swept("one")?;
    let ratio = ours.median() / peer.median();
    Ok(Row {
        number: 4,
        what: format!(
            "7 steps on the Docker runtime ({}), against the Engine API itself",
            docker.version
        ),
        series: vec![ours, peer],
        unit: "ms",
        goal: "≤ 1.10 ×".to_owned(),
        figure: format!("{ratio:.2} ×"),
        met: ratio <= 1.10,
    })
}

async fn seven(client: &Client) -> Result<Duration> {
    let begun = Instant::now();
    for _ in 0..STEPS {
        one(client).await?;
    }
    Ok(begun.elapsed())
}

async fn one(client: &Client) -> Result<()> {
    let made = client.create_container(None::<CreateContainerOptions>, body());
    let id = made.await?.id;
    let ran = run(client, &id).await;
    let forced = RemoveContainerOptions {
        force: ran.is_err(),
        ..RemoveContainerOptions::default()
    };
    client.remove_container(&id, Some(forced)).await?;
    ran
}

async fn run(client: &Client, id: &str) -> Result<()> {
    client.start_container(id, None::<StartContainerOptions>).await?;
    let mut ends = client.wait_container(id, None::<WaitContainerOptions>);
    let end = ends.next().await.context("the daemon said nothing")??;
    ensure!(
        end.status_code == 0,
        "a bare container ended with {}",
        end.status_code
    );
    Ok(())
}

/// As a step without further wishes gets it.
fn body() -> ContainerCreateBody {
    ContainerCreateBody {
        image: Some(IMAGE.to_owned()),
        cmd: Some(["/bin/sh", "-e", "-c", "true"].map(str::to_owned).to_vec()),
        user: Some("1000:1000".to_owned()),
        host_config: Some(HostConfig {
            memory: Some(256 << 20),
            memory_swap: Some(256 << 20),
            pids_limit: Some(256),
            readonly_rootfs: Some(true),
            cap_drop: Some(vec!["ALL".to_owned()]),
            security_opt: Some(vec!["no-new-privileges".to_owned()]),
            network_mode: Some("none".to_owned()),
            tmpfs: Some(HashMap::from([(
                "/tmp".to_owned(),
                "rw,nosuid,nodev,mode=1777,size=67108864".to_owned(),
            )])),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    }
}

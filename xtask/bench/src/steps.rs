//! Rows 2 and 3: seven steps in seven fresh containers, against `docker run` and against the bare runtime.

use std::fmt::Write as _;

use anyhow::{Result, ensure};

use crate::{
    bare::Bare,
    docker::Docker,
    stack::{self, Stack},
    table::{Row, Series},
};

pub(crate) const STEPS: usize = 7;

/// A chain of steps that do nothing in a container of their own.
pub(crate) fn definition(image: &str) -> String {
    let mut text = String::from("name: bench-containers\nsteps:\n");
    for n in 1..=STEPS {
        // Writing into a String cannot fail.
        let _ = write!(text, "  s{n}:\n    image: {image}\n    run: \"true\"\n");
        if n > 1 {
            let _ = writeln!(text, "    needs: s{}", n - 1);
        }
    }
    text
}

pub(crate) fn measure(rounds: usize) -> Result<Vec<Row>> {
    let docker = Docker::find();
    if let Err(why) = &docker {
        println!("row 2: against the bare runtime, not docker run ({why:#})");
    }
    let mut bare = Bare::open("steps")?;
    let mut stack = Stack::start(false)?;
    stack.agent("one", &[], &[])?;
    let file = stack.file("containers.yaml", &definition("host"))?;
    let mut ours = Series::new("Firehall: a run of 7 containers, server and agent");
    let mut floor = Series::new("bare runtime: 7 containers in a loop");
    let mut peer = Series::new("docker run, 7 times");
    // The first of each warms caches and is not counted.
    for round in 0..=rounds {
        let docker_ms = docker.as_ref().ok().map(|docker| docker.run(STEPS)).transpose()?;
        let bare_ms = bare.run(STEPS)?;
        let run = stack.run(&file)?;
        ensure!(
            run["outcome"] == "succeeded",
            "a measured run did not succeed: {run}"
        );
        if round == 0 {
            continue;
        }
        floor.push(bare_ms.as_secs_f64() * 1_000.0);
        ours.push(stack::took(&run)?);
        if let Some(took) = docker_ms {
            peer.push(took.as_secs_f64() * 1_000.0);
        }
    }
    Ok(rows(docker.ok().as_ref(), &ours, &floor, &peer))
}

fn rows(docker: Option<&Docker>, ours: &Series, floor: &Series, peer: &Series) -> Vec<Row> {
    let own = ours.median() / floor.median();
    #[expect(clippy::cast_precision_loss, reason = "seven")]
    let a_step = (ours.median() - floor.median()) / STEPS as f64;
    let (against, ratio, goal) = match docker {
        Some(docker) => (
            format!("`docker run` ({})", docker.version),
            ours.median() / peer.median(),
            0.10,
        ),
        // As the blueprint's own figures: 0.10 of docker run is 1.84 of libcontainer's loop.
        None => ("the bare loop; no Docker daemon ran here".to_owned(), own, 1.84),
    };
    let mut series = vec![ours.clone()];
    series.extend(docker.map(|_| peer.clone()));
    vec![
        Row {
            number: 2,
            what: format!("7 steps in 7 fresh hardened native containers, against {against}"),
            series,
            unit: "ms",
            goal: format!("≤ {goal:.2} ×"),
            figure: format!("{ratio:.3} ×"),
            met: ratio <= goal,
        },
        Row {
            number: 3,
            what: "what the control plane adds to the bare runtime in a loop".to_owned(),
            series: vec![ours.clone(), floor.clone()],
            unit: "ms",
            goal: "≤ 1.25 ×, or 2 ms a step".to_owned(),
            figure: format!("{own:.2} ×, {a_step:.1} ms a step"),
            met: own <= 1.25 || a_step <= 2.0,
        },
    ]
}

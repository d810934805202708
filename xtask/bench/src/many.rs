//! Row 8: how many containers a host runs in a time, four at once.

use std::{thread, time::Instant};

use anyhow::{Result, anyhow, ensure};

use crate::{
    bare::Bare,
    peer,
    stack::{self, Stack},
    table::{Row, Series},
};

const AT_ONCE: usize = 4;
const CONTAINERS: usize = 40;

fn definition() -> String {
    let items: Vec<String> = (1..=CONTAINERS).map(|n| n.to_string()).collect();
    format!(
        "name: bench-many\nsteps:\n  many:\n    foreach: [{}]\n    max-parallel: {AT_ONCE}\n    image: host\n    run: \"true\"\n",
        items.join(", ")
    )
}

pub(crate) fn measure(rounds: usize) -> Result<Vec<Row>> {
    let mut bare = (0..AT_ONCE)
        .map(|n| Bare::open(&format!("many{n}")))
        .collect::<Result<Vec<_>>>()?;
    let mut stack = Stack::start(false)?;
    stack.agent("one", &[], &[])?;
    let file = stack.file("many.yaml", &definition())?;
    let mut ours = Series::new(format!("Firehall: {CONTAINERS} items, {AT_ONCE} at once"));
    let mut floor = Series::new(format!(
        "bare runtime: {AT_ONCE} loops at once, {CONTAINERS} containers in all"
    ));
    let mut libcontainer = Series::new(format!(
        "libcontainer, without seccomp: {AT_ONCE} loops at once, {CONTAINERS} containers in all"
    ));
    for round in 0..=rounds {
        let begun = Instant::now();
        loops(&mut bare)?;
        let bare_ms = begun.elapsed().as_secs_f64() * 1_000.0;
        let begun = Instant::now();
        peer::loops(AT_ONCE, CONTAINERS / AT_ONCE)?;
        let peer_ms = begun.elapsed().as_secs_f64() * 1_000.0;
        let run = stack.run(&file)?;
        ensure!(
            run["outcome"] == "succeeded",
            "a measured run did not succeed: {run}"
        );
        if round > 0 {
            floor.push(bare_ms);
            libcontainer.push(peer_ms);
            ours.push(stack::took(&run)?);
        }
    }
    let ratio = libcontainer.median() / ours.median();
    let own = floor.median() / ours.median();
    #[expect(clippy::cast_precision_loss, reason = "forty")]
    let rate = CONTAINERS as f64 * 1_000.0 / ours.median();
    Ok(vec![Row {
        number: 8,
        what: format!("containers a second on a host, {AT_ONCE} at once, against libcontainer in a loop"),
        series: vec![ours, libcontainer, floor],
        unit: "ms",
        goal: "≥ 0.80 ×".to_owned(),
        figure: format!("{ratio:.2} ×, {rate:.0} a second; {own:.2} × the bare runtime"),
        met: ratio >= 0.80,
    }])
}

fn loops(bare: &mut [Bare]) -> Result<()> {
    thread::scope(|scope| {
        let running: Vec<_> = bare
            .iter_mut()
            .map(|one| scope.spawn(|| one.run(CONTAINERS / AT_ONCE)))
            .collect();
        for one in running {
            one.join().map_err(|_| anyhow!("a loop panicked"))??;
        }
        Ok(())
    })
}

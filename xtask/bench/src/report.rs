//! The page.

use std::{fmt::Write as _, path::Path};

use anyhow::{Context as _, Result};

use crate::table::Row;

/// The table of figures and the numbers behind it, as Markdown.
pub(crate) fn tables(rows: &[Row]) -> String {
    let mut text = String::from("| # | what | measured | goal | met |\n|---|---|---|---|---|\n");
    for row in rows {
        let met = if row.met { "yes" } else { "**no**" };
        // Writing into a String cannot fail.
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {met} |",
            row.number, row.what, row.figure, row.goal
        );
    }
    text.push_str("\n| # | subject | median | min | max | unit |\n|---|---|---|---|---|---|\n");
    for row in rows {
        for one in &row.series {
            let (median, min, max) = (one.median(), one.min(), one.max());
            let _ = writeln!(
                text,
                "| {} | {} | {median:.1} | {min:.1} | {max:.1} | {} |",
                row.number, one.name, row.unit
            );
        }
    }
    text
}

const NOTES: &str = "\
What counts is the ratio, or the count: both sides of a row take turns within one run, on the same machine, with \
durability on (an fsync before every acknowledgement) and, where containers run, the same hardening on our own floor. \
Docker's side has what `docker run --network none --read-only --cap-drop ALL --security-opt no-new-privileges` gives.

- Rows 2 and 3: our time is from the run's start to its end in its own history (server's clock, whole milliseconds); one \
client starts it and watches it. \
The bare loop starts seven such containers one after the other through the crate `runtime`, with the same shim, and \
waits for each: what a step costs without any control plane.
- Row 4: the same run on an agent with `--runtime docker`, an image of one busybox; the peer asks the Engine API over \
the same socket and through the same crate, with the same limits and hardening, for create, start, wait and remove, one \
container after the other. Ours also brings its own pid 1, passes outputs and logs, and lives through the agent's death.
- Row 7: `fsync`, `fdatasync`, `sync_file_range` and `msync` calls of server and agent together, counted by strace, \
which stops at these alone (a filter of system calls), from the webhook until nothing more comes. Timings under strace mean nothing and are not used.
- Row 8: a fan-out of 40 items, four at once, on one agent. libcontainer runs as many in four \
processes that do nothing else, with our namespaces, mounts and limits, and without a filter of system calls, logs or a record \
of how each ended; the bare runtime, which has them, in four threads.
- Row 9: from just before the webhook is sent until the history says that the step create-war-room, and the run, \
ended; server, two agents and the Slack emulator are processes of their own. The emulator answers at once: against \
Slack itself add its latency, about 100 ms a call.
- Row 11: `VmRSS` of the release binary, eight seconds after the agent's start; private is `RssAnon`, and the rest is \
mapped pages of the program itself. An agent that has had nothing to do for five seconds gives back what it does not \
use: free heap, and pages of the program that only its start needed, which stay in the page cache as long as the kernel \
has room. The further agents are sessions of the bench's own, each on a connection of its own; they said Hello and gave \
credits, and send nothing more.
";

/// Writes BENCHMARKS.md.
pub(crate) fn write(machine: &str, rounds: usize, tables: &str) -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .context("no project folder")?;
    let page = format!(
        "# Benchmarks\n\nWritten by `cargo xtask bench` ({rounds} rounds each); numbers of other machines differ.\n\n{machine}\n\n{tables}\n{NOTES}"
    );
    let path = root.join("BENCHMARKS.md");
    std::fs::write(&path, page).with_context(|| format!("cannot write {}", path.display()))?;
    println!("wrote {}", path.display());
    Ok(())
}

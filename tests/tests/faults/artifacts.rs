//! Artifacts on their way while their agent, their server or the link fails: they arrive whole, with their own sum, and the
//! step that leaves them starts once.

use std::{fmt::Write as _, fs, path::Path, time::Instant};

use e2e::{
    Stack, Witness,
    ledger::Ledger,
    proxy::Proxy,
    scene::{Scene, Step, cleaned},
    stack::PATIENCE,
    wait,
};

/// Lines of the artifact, about 1.3 MB: five pieces.
const LINES: u32 = 200_000;
/// A piece and a half: what is struck is in the middle of the second.
const MIDDLE: u64 = 400_000;

/// What goes wrong once so much has come.
#[derive(Debug, Clone, Copy)]
enum Fault {
    Agent,
    Server,
    /// As `Server`, and it comes back only after the lease of the step that left it is over.
    ServerPastTheLease,
    Both,
    /// Each connection is reset after so many bytes from the agent.
    Cut(u64),
    /// As `Agent`, while the next step gets the artifact.
    AgentThatGets,
}

/// One step that leaves an artifact, and one that gets it and holds it against what it must be.
fn scene() -> Scene {
    Scene::of(vec![Step::short("keep", &[]), Step::short("read", &["keep"])])
}

fn definition(witness: &Witness, fault: Fault) -> String {
    let disconnect = match fault {
        Fault::ServerPastTheLease => "    disconnect: 5s\n",
        _ => "",
    };
    let text = scene().definition(witness);
    let keep = format!("  keep:\n    artifacts: {{ out: /tmp/out }}\n{disconnect}");
    let text = text.replacen("  keep:\n", &keep, 1);
    let text = text.replacen(
        "      for i in",
        &format!("      seq 1 {LINES} > /tmp/out\n      for i in"),
        1,
    );
    let (keep, read) = text.split_once("  read:\n").unwrap();
    let read = read.replacen(
        "      for i in",
        &format!("      seq 1 {LINES} | cmp - /data/out\n      for i in"),
        1,
    );
    format!("{keep}  read:\n    files: {{ /data/out: {{ artifact: keep.out }} }}\n{read}")
}

fn content() -> String {
    (1..=LINES).fold(String::new(), |mut text, line| {
        writeln!(text, "{line}").expect("a string takes all");
        text
    })
}

/// Bytes of artifacts on their way that the server holds.
fn incoming(stack: &Stack) -> u64 {
    below(&stack.dir().join("server/artifacts.incoming"))
}

/// Bytes of the files below a directory, some of which may go meanwhile.
fn below(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let bytes = entries.filter_map(|entry| match entry.metadata().ok()? {
        meta if meta.is_dir() => Some(below(&entry.path())),
        meta => Some(meta.len()),
    });
    bytes.sum()
}

fn strike(stack: &mut Stack, proxy: &Proxy, run: &str, before: usize, fault: Fault) {
    match fault {
        Fault::Cut(_) => {
            wait::until("a cut", PATIENCE, || {
                proxy.connections()[before..]
                    .iter()
                    .any(|one| one.over)
                    .then_some(())
            });
            proxy.heal();
            return;
        }
        Fault::AgentThatGets => {
            wait::until("the next step to get it", PATIENCE, || {
                let down = proxy.connections().iter().map(|one| one.down).max()?;
                (down > MIDDLE).then_some(())
            });
        }
        Fault::Agent | Fault::Server | Fault::ServerPastTheLease | Fault::Both => {
            wait::until(&format!("the middle of the artifact of {run}"), PATIENCE, || {
                (incoming(stack) > MIDDLE).then_some(())
            });
        }
    }
    let ends_server = matches!(fault, Fault::Server | Fault::ServerPastTheLease | Fault::Both);
    let ends_agent = matches!(fault, Fault::Agent | Fault::AgentThatGets | Fault::Both);
    if ends_server {
        stack.server_process().kill9();
    }
    if ends_agent {
        stack.agent_process("one").kill9();
    }
    proxy.heal();
    if matches!(fault, Fault::ServerPastTheLease) {
        wait::until("the end of the lease", PATIENCE, || {
            stack.said_by("one").contains("its lease is over").then_some(())
        });
    }
    if ends_server {
        stack.start_server();
    }
    if ends_agent {
        stack.start_agent("one");
    }
}

fn play(faults: &[(&str, Fault)]) {
    let mut ledger = Ledger::new("an artifact of 1.3 MB on its way");
    let witness = Witness::start();
    let mut stack = Stack::server();
    let proxy = Proxy::to(stack.address());
    stack.agent_through(&proxy.url(), "one", &[], &[]);
    let content = content();
    for (n, (name, fault)) in faults.iter().enumerate() {
        proxy.cut();
        let before = proxy.connections().len();
        proxy.set(|rules| match fault {
            Fault::Cut(bytes) => rules.up.cut_after = Some(*bytes),
            Fault::AgentThatGets => rules.down.bytes_per_s = Some(300_000),
            Fault::Agent | Fault::Server | Fault::ServerPastTheLease | Fault::Both => {
                rules.up.bytes_per_s = Some(300_000);
            }
        });
        let file = stack.file(&format!("{n}.yaml"), &definition(&witness, *fault));
        let output = stack.cli(&["run", &file]);
        assert!(output.status.success(), "{output:?}");
        let run = String::from_utf8(output.stdout).unwrap().trim().to_owned();
        strike(&mut stack, &proxy, &run, before, *fault);
        let begun = Instant::now();
        drop(stack.finished(&run));
        let figure = format!("whole {} ms later", begun.elapsed().as_millis());
        scene().went_through(&mut ledger, name, (&stack, &witness, &run), figure);
        let got = stack.cli(&["artifacts", "get", &run, "keep", "out", "--output", "-"]);
        assert!(got.status.success(), "{name}: {got:?}");
        assert!(
            got.stdout == content.as_bytes(),
            "{name}: {} bytes",
            got.stdout.len()
        );
        assert_eq!(incoming(&stack), 0, "{name}: nothing is on its way any more");
    }
    cleaned(&stack);
}

#[test]
fn an_artifact_survives_its_agent_its_server_and_the_link() {
    play(&[
        ("kill -9 of the agent in the middle of a piece", Fault::Agent),
        ("kill -9 of the server in the middle of a piece", Fault::Server),
        (
            "kill -9 of the server, which is away past the lease",
            Fault::ServerPastTheLease,
        ),
        ("the link is cut after 300,000 bytes", Fault::Cut(300_000)),
    ]);
}

#[test]
fn full_an_artifact_survives_both_and_a_cut_anywhere() {
    let cuts = [
        1_u64, 500, 2_000, 30_000, 262_144, 262_200, 700_000, 1_200_000, 1_290_000,
    ];
    let names: Vec<String> = cuts
        .iter()
        .map(|n| format!("the link is cut after {n} bytes"))
        .collect();
    let mut faults: Vec<(&str, Fault)> = names
        .iter()
        .zip(cuts)
        .map(|(name, n)| (name.as_str(), Fault::Cut(n)))
        .collect();
    faults.push(("kill -9 of both in the middle of a piece", Fault::Both));
    faults.push((
        "kill -9 of the agent while the next step gets it",
        Fault::AgentThatGets,
    ));
    play(&faults);
}

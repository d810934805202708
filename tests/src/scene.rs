//! A run whose every step tells the witness that it began and ended, and the judgement of what became of it: the witness
//! says what ran, the history what the product holds of it, and the two must agree.

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

use serde_json::Value;

use crate::{
    Stack, Witness,
    ledger::{Ledger, Row},
    process, wait,
};

/// How long the last log bytes and the clean-up may take after a run's end: the minute that is promised.
const AFTER: Duration = Duration::from_secs(60);

/// One step in a container.
#[derive(Debug, Clone)]
pub struct Step {
    /// Its key.
    pub key: String,
    /// Steps that come before it.
    pub needs: Vec<String>,
    /// Lines that it prints between its two words to the witness.
    pub lines: u32,
    /// Between two lines, milliseconds.
    pub pause_ms: u32,
    /// Its exit code.
    pub code: i64,
}

impl Step {
    /// A short one that succeeds.
    #[must_use]
    pub fn short(key: &str, needs: &[&str]) -> Self {
        Self {
            key: key.to_owned(),
            needs: needs.iter().map(|need| (*need).to_owned()).collect(),
            lines: 3,
            pause_ms: 10,
            code: 0,
        }
    }

    fn log(&self) -> String {
        (1..=self.lines)
            .map(|line| format!("{} line {line}\n", self.key))
            .collect()
    }
}

/// The whole run.
#[derive(Debug, Clone)]
pub struct Scene {
    /// Its steps.
    pub steps: Vec<Step>,
    /// A line of YAML for every step, `if-lost: fail` for instance.
    pub more: String,
}

impl Scene {
    /// Two short steps, one after the other.
    #[must_use]
    pub fn two() -> Self {
        Self::of(vec![Step::short("a", &[]), Step::short("b", &["a"])])
    }

    /// One step of about that many milliseconds, which ends with code 7.
    #[must_use]
    pub fn one(ms: u32) -> Self {
        // Each pause is a program that a busy machine starts late: not too many of them.
        let pause_ms = (ms / 400).max(50);
        let lines = (ms / pause_ms).max(1);
        let (key, needs) = ("a".to_owned(), Vec::new());
        Self::of(vec![Step {
            key,
            needs,
            lines,
            pause_ms,
            code: 7,
        }])
    }

    /// These steps.
    #[must_use]
    pub const fn of(steps: Vec<Step>) -> Self {
        Self {
            steps,
            more: String::new(),
        }
    }

    /// Its definition.
    #[must_use]
    pub fn definition(&self, witness: &Witness) -> String {
        let mut text = "name: scene\nsteps:\n".to_owned();
        for step in &self.steps {
            let Step {
                key,
                needs,
                lines,
                pause_ms,
                code,
            } = step;
            let say = |word: &str| {
                witness.say(&format!(
                    "{word} $FIREHALL_RUN_ID {key} $FIREHALL_ATTEMPT $FIREHALL_TOKEN"
                ))
            };
            let pause = format!("{}.{:03}", pause_ms / 1_000, pause_ms % 1_000);
            let pause = if *pause_ms > 0 {
                format!("; sleep {pause}")
            } else {
                String::new()
            };
            write!(
                text,
                "  {key}:\n    image: host\n    network: host\n    needs: [{}]\n    {}\n    run: |\n      {}\n      for i in $(seq 1 {lines}); do echo \"{key} line $i\"{pause}; done\n      {}\n      exit {code}\n",
                needs.join(", "),
                self.more,
                say("start"),
                say("end"),
            )
            .expect("a string takes all");
        }
        text
    }

    /// Starts it, however often the server dies meanwhile: `revive` is called between two tries. The key makes it one run.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start(
        &self,
        stack: &mut Stack,
        witness: &Witness,
        key: &str,
        mut revive: impl FnMut(&mut Stack),
    ) -> String {
        let file = stack.file(&format!("{key}.yaml"), &self.definition(witness));
        wait::until("the run to be started", crate::stack::PATIENCE, || {
            let output = stack.cli(&["run", &file, "--idempotency-key", key]);
            if !output.status.success() {
                revive(stack);
                return None;
            }
            Some(String::from_utf8(output.stdout).expect("an id").trim().to_owned())
        })
    }

    /// What became of the run, which has ended; waits for the last bytes of its logs.
    #[must_use]
    pub fn judge(&self, stack: &Stack, witness: &Witness, run: &str) -> Judgement {
        let mut judgement = Judgement {
            row: Row {
                runs: 1,
                ..Row::default()
            },
            wrong: Vec::new(),
        };
        let history = history(stack, run);
        judgement.history(&history);
        judgement.starts(witness, run, &history);
        for step in &self.steps {
            judgement.step(stack, witness, run, step, &history);
        }
        judgement
    }

    /// Waits for the end of a run that must have gone through whole, and adds it to the ledger with a figure in words.
    ///
    /// # Panics
    /// When it does not end in time, or anything was lost, doubled or left unknown.
    pub fn went_through(
        &self,
        ledger: &mut Ledger,
        fault: &str,
        (stack, witness, run): (&Stack, &Witness, &str),
        figure: String,
    ) {
        drop(stack.finished(run));
        let Judgement { mut row, wrong } = self.judge(stack, witness, run);
        row.figure = figure;
        ledger.add(fault, row.clone());
        assert!(wrong.is_empty(), "{fault}: {wrong:#?}\n{}", stack.said());
        assert_eq!(
            (row.starts, row.unknown),
            (self.steps.len(), 0),
            "{fault}\n{}",
            stack.said()
        );
    }
}

/// The events of a run that has ended, oldest first.
///
/// # Panics
/// When they cannot be had.
#[must_use]
pub fn history(stack: &Stack, run: &str) -> Vec<Value> {
    let output = wait::until("a run's history", crate::stack::PATIENCE, || {
        let output = stack.cli(&["watch", run, "-o", "json"]);
        // The exit code is the run's outcome.
        (!output.stdout.is_empty()).then_some(output.stdout)
    });
    String::from_utf8(output)
        .expect("JSON")
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

/// What is on the host of a stack's attempts: shims, and directories of attempts.
#[must_use]
pub fn leftovers(stack: &Stack) -> Vec<String> {
    let mut left: Vec<String> = process::shims(stack.dir())
        .into_iter()
        .map(|pid| format!("shim {pid}"))
        .collect();
    for entry in std::fs::read_dir(stack.dir()).into_iter().flatten().flatten() {
        let attempts = std::fs::read_dir(entry.path().join("attempts"));
        left.extend(
            attempts
                .into_iter()
                .flatten()
                .flatten()
                .map(|dir| dir.path().display().to_string()),
        );
    }
    left
}

/// Waits until nothing is left of a stack's attempts.
///
/// # Panics
/// When something stays.
pub fn cleaned(stack: &Stack) {
    let mut left = Vec::new();
    wait::until("nothing to be left of the attempts", AFTER, || {
        left = leftovers(stack);
        left.is_empty().then_some(())
    });
}

/// The row of a run, and what is wrong with it in words.
#[derive(Debug)]
pub struct Judgement {
    /// Its figures.
    pub row: Row,
    /// Everything that must not be; empty is well.
    pub wrong: Vec<String>,
}

impl Judgement {
    fn lost(&mut self, why: String) {
        self.row.lost += 1;
        self.wrong.push(why);
    }

    /// No gap, one end, one result an attempt.
    fn history(&mut self, history: &[Value]) {
        for (event, seq) in history.iter().zip(1_u64..) {
            if event["seq"] != seq {
                self.lost(format!("event {seq} has the number {}", event["seq"]));
            }
        }
        let ends = of_kind(history, "run.ended").count();
        let last = history.iter().rfind(|event| event["kind"] != "report.ignored");
        if ends != 1 || last.is_none_or(|last| last["kind"] != "run.ended") {
            self.wrong.push(format!(
                "the run ended {ends} times, or something follows its end"
            ));
        }
        let mut results: BTreeMap<String, usize> = BTreeMap::new();
        for event in of_kind(history, "attempt.finished") {
            *results.entry(attempt(event)).or_default() += 1;
        }
        for (attempt, count) in results.into_iter().filter(|(_, count)| *count > 1) {
            self.wrong.push(format!("attempt {attempt} has {count} results"));
        }
    }

    /// Every start was offered, and no attempt was started twice.
    fn starts(&mut self, witness: &Witness, run: &str, history: &[Value]) {
        let mut starts: BTreeMap<String, usize> = BTreeMap::new();
        for line in witness.lines() {
            let Some(start) = line.strip_prefix(&format!("start {run} ")) else {
                continue;
            };
            self.row.starts += 1;
            let (attempt, token) = start.rsplit_once(' ').unwrap_or((start, ""));
            *starts.entry(attempt.to_owned()).or_default() += 1;
            if !of_kind(history, "attempt.offered").any(|event| event["body"]["placement"]["token"] == token)
            {
                self.wrong.push(format!(
                    "{attempt} was started with {token}, which was never offered"
                ));
            }
        }
        for (attempt, count) in starts.into_iter().filter(|(_, count)| *count > 1) {
            self.row.doubled += count - 1;
            self.wrong
                .push(format!("attempt {attempt} was started {count} times"));
        }
    }

    fn step(&mut self, stack: &Stack, witness: &Witness, run: &str, step: &Step, history: &[Value]) {
        let of_step =
            |kind| of_kind(history, kind).filter(|event| event["body"]["step"] == step.key.as_str());
        let in_doubt =
            |event: &&Value| !of_step("attempt.finished").any(|finished| attempt(finished) == attempt(event));
        self.row.unknown += of_step("attempt.lost").filter(in_doubt).count();
        for event in of_step("attempt.finished") {
            let report = &event["body"]["report"];
            let said = |word: &str| {
                let line = format!("{word} {run} {} {}", step.key, event["body"]["attempt"]);
                witness
                    .lines()
                    .iter()
                    .filter(|heard| heard.starts_with(&line))
                    .count()
            };
            let code = report["exit"]["code"].as_i64();
            let ran_whole = code == Some(step.code) && (code != Some(0) || report["verdict"] == "succeeded");
            if report["exit"].is_null() && said("start") > 0 {
                self.lost(format!(
                    "{} ran, and its result says that it never did: {report}",
                    step.key
                ));
            }
            if code.is_some() && said("start") == 0 && report["verdict"] == "succeeded" {
                self.lost(format!("{} has a result and never ran: {report}", step.key));
            }
            // A stop may come between its last word and its end.
            let stopped =
                of_kind(history, "attempt.stopping").any(|stopping| attempt(stopping) == attempt(event));
            if said("end") > 0 && !ran_whole && !stopped {
                self.lost(format!(
                    "{} ended with {}, its result is {report}",
                    step.key, step.code
                ));
            }
            if ran_whole && !logged(stack, run, step) {
                self.lost(format!("the log of {} is not what it wrote", step.key));
            }
        }
    }
}

/// Whether the log comes to be what the step wrote.
fn logged(stack: &Stack, run: &str, step: &Step) -> bool {
    let begun = std::time::Instant::now();
    loop {
        if stack.logs(run, &step.key) == step.log().into_bytes() {
            return true;
        }
        if begun.elapsed() > AFTER {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn of_kind<'a>(history: &'a [Value], kind: &'a str) -> impl Iterator<Item = &'a Value> {
    history.iter().filter(move |event| event["kind"] == kind)
}

fn attempt(event: &Value) -> String {
    format!(
        "{} {}",
        event["body"]["step"].as_str().unwrap_or_default(),
        event["body"]["attempt"]
    )
}

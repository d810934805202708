//! An attempt that is a built-in action, in this process.

use std::{
    collections::BTreeMap,
    fs::{DirBuilder, File},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    sync::Arc,
    time::Duration,
};

use actions::{ActionContext, ActionError, ActionOutput, Clock, Connections, LogSink, Mask};
use node::clock::{self, Boot};
use tokio::{sync::mpsc, time::Instant};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use types::{ActionWork, Failure, FailureKind, Millis, Object, OutputDecl, Usage, Verdict, limits};

use super::{Job, Told, report};
use crate::{
    logs::{Ends, StreamEnd},
    sweep,
};

/// Lines that may wait for the disk.
const LINES: usize = 64;
/// How long the last lines of an action that is over are waited for.
const LAST_LINES: Duration = Duration::from_secs(1);

type Answer = Result<ActionOutput, ActionError>;

pub(super) async fn run(
    job: &Job,
    work: ActionWork,
    outputs: &BTreeMap<String, OutputDecl>,
    timeout_ms: Millis,
) {
    if let Err(failure) = fits(job, &work) {
        return job.fail(failure).await;
    }
    // The directory says that the action may have begun: without it, it certainly has not.
    if let Err(error) = DirBuilder::new().mode(0o700).create(job.dir()) {
        let message = format!("cannot make the attempt's directory: {error}");
        return job.fail(Failure::new(FailureKind::Start, message)).await;
    }
    // Its log is there from the first moment, so that an agent after this one knows that it may lack something.
    if let Err(error) = open_log(job) {
        let message = format!("cannot make the attempt's log: {error}");
        return job.fail(Failure::new(FailureKind::Start, message)).await;
    }
    job.tell(Told::Started).await;
    let begun = Boot::now();
    let (answer, log) = carry_out(job, work, timeout_ms).await;
    let usage = Usage {
        duration_ms: Boot::now().since(begun),
        stdout_bytes: log.written + log.end.dropped,
        ..Usage::default()
    };
    let stopped = job.reins.cause().filter(|_| answer.is_err());
    let (verdict, outputs) = match (stopped, job.meta.work()) {
        (Some(cause), Ok(work)) => (report::stopped_by(Some(cause), &work), Object::new()),
        _ => verdict(job, answer, outputs),
    };
    let mut report = report::of(verdict, usage);
    report.outputs = outputs;
    report.runtime = Some("action".to_owned());
    let ends = Ends {
        step: [log.end, StreamEnd::default()],
        ..Ends::default()
    };
    if let Err(error) = sweep::note_ends(&job.dir(), &ends.step) {
        tracing::debug!(attempt = %job.meta.key, %error, "cannot note how an action's log ended");
    }
    job.logs.finished(&job.token, ends);
    job.tell(Told::Ended(Box::new(report))).await;
}

/// Whether it is the action that the plan was made for.
fn fits(job: &Job, work: &ActionWork) -> Result<(), Failure> {
    let start = |message: String| Err(Failure::new(FailureKind::Start, message));
    let Some(action) = job.context.actions.get(&work.action) else {
        return start(format!(
            "agent {} has no action {}",
            job.context.name, work.action
        ));
    };
    let signature = action.signature();
    if signature.major != work.major || signature.digest() != work.digest {
        return start(format!(
            "agent {} has another version of {} than the plan was made for: bring server and agents to one version and \
             start the run anew",
            job.context.name, work.action
        ));
    }
    Ok(())
}

async fn carry_out(job: &Job, work: ActionWork, timeout_ms: Millis) -> (Answer, Log) {
    let connections = match connections(job, &work.action).await {
        Ok(connections) => connections,
        Err(error) => return (Err(error), Log::default()),
    };
    let (sink, lines) = mpsc::channel(LINES);
    let cancel = job.reins.stop.child_token();
    let over = Boot::now().plus(timeout_ms);
    let masker = Arc::clone(&job.context);
    let context = ActionContext {
        run: job.meta.key.run.clone(),
        step: job.meta.key.step.clone(),
        index: job.meta.key.index,
        attempt: job.meta.key.attempt,
        token: job.token.clone(),
        clock: Clock::new(clock::wall),
        connections,
        mask: Mask::new(move |text| masker.masker().text(text)),
        cancel: cancel.clone(),
        log: LogSink::new(sink),
        deadline: Instant::now() + Duration::from_millis(timeout_ms),
    };
    let registry = job.context.actions.clone();
    // A task of its own, so that a panic in it is its failure and not the agent's.
    let action = tokio::spawn(async move { registry.run(&work.action, &context, work.params).await });
    let written = CancellationToken::new();
    let action = async {
        let answer = ended(AbortOnDropHandle::new(action), over, timeout_ms, &cancel).await;
        let at_most = tokio::time::timeout(LAST_LINES, written.cancelled());
        let _late = at_most.await;
        answer
    };
    let mut log = Log::default();
    let answer = {
        let writer = async {
            write(job, lines, &mut log).await;
            written.cancel();
            std::future::pending().await
        };
        tokio::select! {
            answer = action => answer,
            never = writer => never,
        }
    };
    (answer, log)
}

/// The connections with the secrets of now. An action that needs one that is not to be had fails, and says why.
async fn connections(job: &Job, action: &str) -> Result<Connections, ActionError> {
    let context = &job.context;
    let signature = context.actions.get(action).map(|action| action.signature());
    // An action that can do without its vendor still gets it where this agent has it.
    let own = || {
        let vendor = action.split('/').next().unwrap_or_default();
        context
            .vendors
            .names()
            .iter()
            .find(|name| *name == vendor)
            .cloned()
    };
    let needed = signature.and_then(|signature| signature.connection).or_else(own);
    let Some(needed) = needed else {
        return Ok(context.vendors.held());
    };
    let (connections, why) = context.vendors.now(&context.secrets).await;
    let is_there = connections.names().contains(&needed);
    if is_there || why.is_empty() {
        return Ok(connections);
    }
    let message = format!("no connection to {needed}: {}", why.join("; "));
    Err(ActionError::new(FailureKind::Transient, message))
}

async fn ended(
    mut action: AbortOnDropHandle<Answer>,
    over: Boot,
    timeout_ms: Millis,
    cancel: &CancellationToken,
) -> Answer {
    tokio::select! {
        answer = &mut action => answer.unwrap_or_else(|error| {
            Err(ActionError::internal(format!("the action failed by a defect of its own: {error}")))
        }),
        // The boot-time clock counts the host's sleep too, which the action's own deadline does not.
        () = clock::sleep_until(over) => {
            cancel.cancel();
            Err(ActionError::new(FailureKind::Timeout, format!("timed out: not done within {timeout_ms} ms")))
        }
    }
}

fn verdict(job: &Job, answer: Answer, declared: &BTreeMap<String, OutputDecl>) -> (Verdict, Object) {
    let context = &job.context;
    let failed = |failure: Failure| (Verdict::Failed { failure }, Object::new());
    let output = match answer {
        Ok(output) => output,
        Err(mut error) => {
            error.message = context.masker().text(&error.message);
            return failed(error.into());
        }
    };
    let mut fault = report::without_secrets(context, &output.outputs).err();
    let size = serde_json::to_vec(&output.outputs).map_or(usize::MAX, |json| json.len());
    if size > limits::OUTPUTS_BYTES {
        fault = Some(format!(
            "the outputs take {size} bytes together, the limit is {}",
            limits::OUTPUTS_BYTES
        ));
    }
    // The registry has held them against its own signature; the plan's says what the run counts on.
    for (name, declared) in declared {
        match output.outputs.get(name).map(|value| declared.ty.check(value)) {
            Some(Err(error)) => fault = Some(format!("output {name:?}: {error}")),
            None if !declared.optional => fault = Some(format!("output {name:?} is missing")),
            _ => {}
        }
    }
    if let Some(message) = fault {
        return failed(Failure::new(FailureKind::Output, message));
    }
    let reasons = report::reasons(context, output.degraded.iter().map(String::as_str));
    let verdict = if reasons.is_empty() {
        Verdict::Succeeded
    } else {
        Verdict::Degraded { reasons }
    };
    (verdict, output.outputs)
}

/// What was written of an action's log.
#[derive(Debug, Default)]
struct Log {
    written: u64,
    end: StreamEnd,
}

async fn write(job: &Job, mut lines: mpsc::Receiver<Vec<u8>>, log: &mut Log) {
    let mut file = None;
    while let Some(mut line) = lines.recv().await {
        while let Ok(more) = lines.try_recv() {
            line.extend(more);
        }
        let fits = log.written + line.len() as u64 <= limits::LOG_STREAM_BYTES && log.end.dropped == 0;
        match if fits {
            append(job, &mut file, &line)
        } else {
            Err(io::Error::from(io::ErrorKind::StorageFull))
        } {
            Ok(()) => log.written += line.len() as u64,
            Err(error) => {
                if log.end.dropped == 0 {
                    tracing::warn!(attempt = %job.meta.key, %error, "an action's log is cut off here");
                }
                log.end.gap_at.get_or_insert(log.written);
                log.end.dropped += line.len() as u64;
            }
        }
        job.logs.grew();
    }
}

fn open_log(job: &Job) -> io::Result<File> {
    let path = job.dir().join("out");
    File::options().append(true).create(true).mode(0o600).open(path)
}

fn append(job: &Job, file: &mut Option<File>, line: &[u8]) -> io::Result<()> {
    let file = match file {
        Some(file) => file,
        none => none.insert(open_log(job)?),
    };
    file.write_all(line)
}

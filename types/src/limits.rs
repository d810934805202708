//! Every limit of the system with its name. A limit that is exceeded is a clear error, never a cut that nobody sees.

use crate::Millis;

/// A webhook body; beyond it the answer is 413.
pub const WEBHOOK_BODY_BYTES: usize = 1024 * 1024;
/// How much of an oversized webhook body is read and thrown away so that the sender sees the 413.
pub const WEBHOOK_DRAIN_BYTES: usize = 16 * 1024 * 1024;
/// An alert in our own form, which may be larger than its body. A run's first event holds it beside a plan.
pub const ALERT_BYTES: usize = 1_280 * 1024;
/// A workflow definition's source.
pub const DEFINITION_BYTES: usize = 1024 * 1024;
/// Steps of one workflow.
pub const STEPS: usize = 10_000;
/// Items of one `foreach`.
pub const ITEMS: usize = 1_000;
/// An expression's source.
pub const EXPRESSION_BYTES: usize = 2 * 1024;
/// Nesting of an expression.
pub const EXPRESSION_DEPTH: usize = 32;
/// One value that an expression may produce, in its JSON form.
pub const VALUE_BYTES: usize = 256 * 1024;
/// All outputs of one attempt together, in their JSON form.
pub const OUTPUTS_BYTES: usize = 256 * 1024;
/// One log chunk on the wire.
pub const LOG_CHUNK_BYTES: usize = 64 * 1024;
/// What one attempt may write to each of its streams before the middle is dropped and counted.
pub const LOG_STREAM_BYTES: u64 = 64 * 1024 * 1024;
/// What logs of acknowledged attempts may take of their agent's disk together while the server does not have them, unless
/// `[logs]` of agent.toml says otherwise; beyond it the oldest are given up and counted.
pub const LOGS_WAITING_BYTES: u64 = 8 * 1024 * 1024 * 1024;
/// One gRPC message, both directions, both sides.
pub const MESSAGE_BYTES: usize = 2 * 1024 * 1024;
/// One answer of the API: what clients of gRPC take unless they are told otherwise.
pub const ANSWER_BYTES: usize = 4 * 1024 * 1024;
/// An agent's policy in its JSON form, as its Hello tells it.
pub const POLICY_BYTES: usize = 64 * 1024;
/// Files that a container step gets.
pub const FILES: usize = 64;
/// What those of a step hold that are written in its workflow, together, in their JSON form: they travel with the work.
pub const FILES_BYTES: usize = 512 * 1024;
/// A file's path in a container.
pub const FILE_PATH_BYTES: usize = 512;
/// Artifacts that a container step keeps.
pub const ARTIFACTS: usize = 16;
/// All artifacts of one attempt together.
pub const ARTIFACT_BYTES: u64 = 1024 * 1024 * 1024;
/// All artifacts of one run together.
pub const ARTIFACT_RUN_BYTES: u64 = 8 * 1024 * 1024 * 1024;
/// One piece of an artifact on the wire.
pub const ARTIFACT_CHUNK_BYTES: usize = 256 * 1024;
/// Files and directories of a directory that is kept as an artifact.
pub const ARTIFACT_ENTRIES: usize = 100_000;
/// How long a server that does not take an artifact is asked again before the attempt fails for it.
pub const ARTIFACT_REFUSED_MS: Millis = 2 * 60_000;
/// Degradation reasons of one attempt.
pub const REASONS: usize = 32;
/// One reason or failure message, characters.
pub const MESSAGE_CHARS: usize = 2_000;

/// How long a step waits for an agent by default.
pub const PICKUP_MS: Millis = 5 * 60_000;
/// An attempt's time by default.
pub const TIMEOUT_MS: Millis = 10 * 60_000;
/// The longest timeout that a definition may ask for.
pub const TIMEOUT_MAX_MS: Millis = 24 * 3_600_000;
/// Between TERM and KILL.
pub const GRACE_MS: Millis = 5_000;
/// The longest time between TERM and KILL that a definition may ask for.
pub const GRACE_MAX_MS: Millis = 10 * 60_000;
/// The most processes and threads that a definition may ask for.
pub const PIDS_MAX: u32 = 65_536;
/// The highest user inside a container.
pub const USER_MAX: u32 = 65_534;
/// Services beside one step.
pub const SERVICES: usize = 4;
/// A service's name.
pub const SERVICE_NAME_BYTES: usize = 32;
/// Between two looks whether a service is ready, by default.
pub const READY_INTERVAL_MS: Millis = 500;
/// The shortest time between two looks.
pub const READY_INTERVAL_MIN_MS: Millis = 50;
/// The longest time between two looks.
pub const READY_INTERVAL_MAX_MS: Millis = 60_000;
/// From a service's start until it must be ready, by default.
pub const READY_TIMEOUT_MS: Millis = 60_000;
/// The shortest time to get ready that a definition may ask for.
pub const READY_TIMEOUT_MIN_MS: Millis = 1_000;
/// The longest time to get ready that a definition may ask for.
pub const READY_TIMEOUT_MAX_MS: Millis = 10 * 60_000;
/// One look whether a service is ready; it is ended then.
pub const READY_LOOK_MS: Millis = 10_000;
/// Unary heartbeats of an agent.
pub const HEARTBEAT_MS: Millis = 5_000;
/// Missed heartbeats after which an agent shows as disconnected.
pub const HEARTBEATS_MISSED: u64 = 3;
/// The longest disconnect budget of an attempt.
pub const DISCONNECT_MAX_MS: Millis = 3_600_000;
/// The disconnect budget of an attempt that may be run again.
pub const DISCONNECT_RERUN_MS: Millis = 60_000;
/// How long after a lease's end the server judges an attempt lost.
pub const LEASE_MARGIN_MS: Millis = 10_000;
/// How long a server that has just started, or that stood still, waits for its agents before it says that nobody took a step
/// or settled a doubt.
pub const AGENTS_BACK_MS: Millis = 30_000;
/// Reruns of lost attempts that `if-lost: rerun` allows, apart from the retry budget.
pub const RERUNS: u32 = 2;
/// How often an agent's process may end as it is about to start an attempt before it gives the attempt back.
pub const AGENT_CRASHES: u32 = 3;
/// How often a run may panic a server's task before the server gives it up as failed.
pub const RUN_DEFECTS: u32 = 3;
/// Agents that may end so over one item of a step: no further one is given it, and once each had it too often it fails.
pub const CRASHED_AGENTS: usize = 2;
/// How long an idempotency key is kept.
pub const IDEMPOTENCY_MS: Millis = 7 * 24 * 3_600_000;
/// For how long two webhook bodies without a key count as one by their hash.
pub const BODY_DEDUPE_MS: Millis = 10 * 60_000;

/// An image's manifest, and its configuration, each.
pub const IMAGE_MANIFEST_BYTES: u64 = 4 * 1024 * 1024;
/// Layers of an image.
pub const IMAGE_LAYERS: usize = 127;
/// One layer as it is fetched.
pub const IMAGE_LAYER_BYTES: u64 = 8 * 1024 * 1024 * 1024;
/// All files of an image, unpacked.
pub const IMAGE_UNPACKED_BYTES: u64 = 16 * 1024 * 1024 * 1024;
/// Files, directories and links of an image.
pub const IMAGE_ENTRIES: u64 = 1_000_000;
/// How long the native runtime takes to fetch and unpack an image.
pub const IMAGE_PULL_MS: Millis = 10 * 60_000;
/// What an agent keeps of images that nothing uses; beyond it those go that were not used for longest.
pub const IMAGE_STORE_BYTES: u64 = 20 * 1024 * 1024 * 1024;
/// How long an agent keeps an image that nothing uses.
pub const IMAGE_AGE_MS: Millis = 14 * 24 * 3_600_000;
/// The longest that an agent's file may say for it.
pub const IMAGE_AGE_MAX_MS: Millis = 3_650 * 24 * 3_600_000;

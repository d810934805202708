//! What people of other systems write, and what it is here.

/// What a key of another system is called here.
#[derive(Debug, Clone, Copy)]
pub(super) enum Here {
    /// The same under another name.
    Called(&'static str),
    /// The nearest thing under another name, whose value is written otherwise: how.
    Like(&'static str, &'static str),
    /// Not there, and why that is no loss.
    Not(&'static str),
}

use Here::{Called, Like, Not};

/// A workflow's keys elsewhere.
pub(super) const WORKFLOW: [(&str, Here); 17] = [
    (
        "jobs",
        Like(
            "steps",
            "a workflow has its steps directly under `steps`, each under its key",
        ),
    ),
    ("tasks", Called("steps")),
    ("stages", Called("steps")),
    ("params", Called("inputs")),
    ("parameters", Called("inputs")),
    ("variables", Called("inputs")),
    ("vars", Called("inputs")),
    ("arguments", Called("inputs")),
    ("trigger", Called("on")),
    ("triggers", Called("on")),
    ("title", Called("name")),
    ("id", Called("name")),
    (
        "permissions",
        Not("what a workflow may do is decided by its steps and by the agents' secrets"),
    ),
    (
        "version",
        Not("remove it: each text that is kept is a version of its own"),
    ),
    ("apiVersion", Not("remove it: the language has one version")),
    ("kind", Not("remove it: a definition is always a workflow")),
    ("metadata", Not("write `name` and `description` at the top")),
];

/// A step's keys elsewhere.
pub(super) const STEP: [(&str, Here); 55] = [
    ("if", Called("when")),
    ("condition", Called("when")),
    ("unless", Like("when", "write `when: \"!(…)\"`")),
    ("continue-on-error", Called("allow-failure")),
    ("continue_on_error", Called("allow-failure")),
    ("ignore_errors", Called("allow-failure")),
    ("ignore-errors", Called("allow-failure")),
    (
        "timeout-minutes",
        Like("timeout", "write it with its unit: `timeout: 10m`"),
    ),
    (
        "timeout_sec",
        Like("timeout", "write it with its unit: `timeout: 30s`"),
    ),
    (
        "timeoutSec",
        Like("timeout", "write it with its unit: `timeout: 30s`"),
    ),
    (
        "timeoutSeconds",
        Like("timeout", "write it with its unit: `timeout: 30s`"),
    ),
    ("depends_on", Called("needs")),
    ("depends-on", Called("needs")),
    ("dependsOn", Called("needs")),
    ("depends", Called("needs")),
    ("dependencies", Called("needs")),
    ("requires", Called("needs")),
    ("after", Called("needs")),
    ("environment", Called("env")),
    ("envs", Called("env")),
    ("script", Called("run")),
    ("bash", Called("run")),
    ("sh", Called("run")),
    (
        "shell",
        Not("`run` is a script for /bin/sh; for another shell write `command: [bash, -c, …]`"),
    ),
    ("cmd", Called("command")),
    (
        "args",
        Like(
            "command",
            "write the program and its arguments as one list: `command: [program, argument]`",
        ),
    ),
    (
        "arguments",
        Like(
            "command",
            "write the program and its arguments as one list: `command: [program, argument]`",
        ),
    ),
    (
        "entrypoint",
        Like(
            "command",
            "write the program and its arguments as one list: `command: [program, argument]`",
        ),
    ),
    (
        "container",
        Like("image", "write the image's name: `image: alpine:3.22`"),
    ),
    (
        "docker",
        Like("image", "write the image's name: `image: alpine:3.22`"),
    ),
    ("action", Called("uses")),
    ("params", Called("with")),
    ("parameters", Called("with")),
    ("with_items", Called("foreach")),
    ("loop", Called("foreach")),
    ("for_each", Called("foreach")),
    ("for-each", Called("foreach")),
    (
        "matrix",
        Like(
            "foreach",
            "write a list: `foreach: [a, b]`, and read `each.value`",
        ),
    ),
    (
        "strategy",
        Like(
            "foreach",
            "write a list: `foreach: [a, b]`, and read `each.value`",
        ),
    ),
    (
        "parallel",
        Like(
            "foreach",
            "write a list: `foreach: [a, b]`, and read `each.value`",
        ),
    ),
    ("retries", Called("retry")),
    ("attempts", Called("retry")),
    ("retry_policy", Called("retry")),
    ("retryPolicy", Called("retry")),
    ("working-directory", Called("workdir")),
    ("working_dir", Called("workdir")),
    ("dir", Called("workdir")),
    ("cwd", Called("workdir")),
    ("host", Like("runs-on", "write `runs-on: { host: db-1 }`")),
    ("node", Like("runs-on", "write `runs-on: { host: db-1 }`")),
    ("agent", Like("runs-on", "write `runs-on: { host: db-1 }`")),
    ("runner", Like("runs-on", "write `runs-on: { host: db-1 }`")),
    ("labels", Called("runs-on")),
    ("id", Not("remove it: a step is known by its key")),
    ("description", Called("name")),
];

/// An input's keys elsewhere.
pub(super) const INPUT: [(&str, Here); 4] = [
    (
        "required",
        Not("remove it: an input without `default` must be given"),
    ),
    ("options", Called("enum")),
    ("choices", Called("enum")),
    ("value", Called("default")),
];

/// The keys of `resources` elsewhere.
pub(super) const RESOURCES: [(&str, Here); 4] = [
    ("mem", Called("memory")),
    ("ram", Called("memory")),
    (
        "limits",
        Not("write `cpu`, `memory` and `pids` here; they are limits"),
    ),
    (
        "requests",
        Not("nothing is reserved: `cpu`, `memory` and `pids` are limits"),
    ),
];

/// A service's keys elsewhere.
pub(super) const SERVICE: [(&str, Here); 19] = [
    (
        "ports",
        Not("nothing is published: the step reaches the service under its name at the port where it listens"),
    ),
    (
        "expose",
        Not("nothing is published: the step reaches the service under its name at the port where it listens"),
    ),
    (
        "volumes",
        Not("remove it: a service writes below /tmp, which goes with it"),
    ),
    ("environment", Called("env")),
    ("variables", Called("env")),
    ("vars", Called("env")),
    ("script", Called("run")),
    ("cmd", Called("command")),
    (
        "args",
        Like(
            "command",
            "write the program and its arguments as one list: `command: [program, argument]`",
        ),
    ),
    (
        "entrypoint",
        Like(
            "command",
            "write the program and its arguments as one list: `command: [program, argument]`",
        ),
    ),
    ("working_dir", Called("workdir")),
    ("working-directory", Called("workdir")),
    (
        "healthcheck",
        Like(
            "ready",
            "write `ready: { command: [program, argument] }` or `ready: { tcp: 5432 }`",
        ),
    ),
    (
        "health-cmd",
        Like(
            "ready",
            "write `ready: { command: [program, argument] }` or `ready: { tcp: 5432 }`",
        ),
    ),
    (
        "options",
        Like(
            "ready",
            "write `ready: { command: [program, argument] }` or `ready: { tcp: 5432 }`",
        ),
    ),
    ("readiness", Called("ready")),
    ("alias", Not("a service is reached under its key in `services`")),
    ("name", Not("a service is reached under its key in `services`")),
    (
        "depends_on",
        Not("all services of a step start together: let the one that needs another try until it is there"),
    ),
];

/// The keys of `ready` elsewhere.
pub(super) const READY: [(&str, Here); 8] = [
    ("port", Called("tcp")),
    ("tcpSocket", Like("tcp", "write the port: `tcp: 5432`")),
    (
        "exec",
        Like(
            "command",
            "write the program and its arguments as one list: `command: [program, argument]`",
        ),
    ),
    (
        "test",
        Like(
            "command",
            "write the program and its arguments as one list: `command: [program, argument]`",
        ),
    ),
    (
        "http",
        Not("write `run: wget -qO- http://localhost:8080/health`, or what the image has for it"),
    ),
    (
        "httpGet",
        Not("write `run: wget -qO- http://localhost:8080/health`, or what the image has for it"),
    ),
    (
        "retries",
        Like("timeout", "write how long it may take in all: `timeout: 30s`"),
    ),
    ("period", Called("interval")),
];

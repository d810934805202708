//! A server and agents as an operator runs them: separate processes of the real binary.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Output,
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    http,
    port::Port,
    process::{self, Running},
    wait,
};

/// Where processes look for what a test armed (`failpoint/src/lib.rs`).
const FAILPOINTS: &str = "FIREHALL_FAILPOINTS";

/// How long anything may take here.
pub const PATIENCE: Duration = Duration::from_secs(40);

/// What `dev` grants.
const GRANTS: &str = "host-view:proc,network:host";

/// A server with its agents.
pub struct Stack {
    dir: TempDir,
    address: SocketAddr,
    _port: Port,
    server: Option<Running>,
    server_program: PathBuf,
    agents: Vec<AgentProcess>,
    agent_program: PathBuf,
    server_args: Vec<String>,
    server_env: Vec<(String, String)>,
}

struct AgentProcess {
    name: String,
    args: Vec<String>,
    env: Vec<(String, String)>,
    running: Option<Running>,
}

impl Stack {
    /// A server alone.
    #[must_use]
    pub fn server() -> Self {
        Self::server_with(&[], &[])
    }

    /// A server alone, with more arguments and environment.
    ///
    /// # Panics
    /// When it does not come up.
    #[must_use]
    pub fn server_with(args: &[&str], env: &[(&str, &str)]) -> Self {
        let port = Port::take();
        let mut stack = Self {
            dir: tempfile::Builder::new()
                .prefix("fh-e2e-")
                .tempdir()
                .expect("a directory"),
            address: SocketAddr::from(([127, 0, 0, 1], port.number())),
            _port: port,
            server: None,
            server_program: process::binary(),
            agents: Vec::new(),
            agent_program: process::binary(),
            server_args: args.iter().map(|arg| (*arg).to_owned()).collect(),
            server_env: env
                .iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect(),
        };
        std::fs::create_dir(stack.failpoints()).expect("a directory");
        stack.start_server();
        stack
    }

    /// A server and one agent that grants what `dev` grants.
    #[must_use]
    pub fn with_agent() -> Self {
        let mut stack = Self::server();
        stack.agent("one", &["--label", "host=web-1"], &[]);
        stack
    }

    /// One more agent that grants what `dev` grants; waits until it is connected.
    pub fn agent(&mut self, name: &str, args: &[&str], env: &[(String, String)]) {
        self.add_agent(name, &self.url(), GRANTS, args, env);
    }

    /// One more agent that grants what `dev` grants and reaches the server through this URL.
    pub fn agent_through(&mut self, url: &str, name: &str, args: &[&str], env: &[(String, String)]) {
        self.add_agent(name, url, GRANTS, args, env);
    }

    /// The same without waiting for it: it may not reach the server.
    pub fn spawn_agent_through(&mut self, url: &str, name: &str) {
        self.know_agent(name, url, GRANTS, &[], &[]);
        self.spawn_agent(name);
    }

    /// Where an agent dials from its next start on.
    ///
    /// # Panics
    /// When it is not known.
    pub fn agent_dials(&mut self, name: &str, url: &str) {
        self.agent_takes(name, "--server", url);
    }

    /// Another value of a flag that an agent has, from its next start on.
    ///
    /// # Panics
    /// When it is not known, or has no such flag.
    pub fn agent_takes(&mut self, name: &str, flag: &str, value: &str) {
        let agent = self.agents.iter_mut().find(|agent| agent.name == name);
        let agent = agent.expect("an agent of this stack");
        let at = agent.args.iter().position(|arg| arg == flag).expect("it has one");
        value.clone_into(&mut agent.args[at + 1]);
    }

    /// One more agent that grants this and no more.
    pub fn agent_granting(&mut self, name: &str, allow: &str) {
        self.add_agent(name, &self.url(), allow, &[], &[]);
    }

    fn add_agent(&mut self, name: &str, url: &str, allow: &str, args: &[&str], env: &[(String, String)]) {
        self.know_agent(name, url, allow, args, env);
        self.start_agent(name);
    }

    fn know_agent(&mut self, name: &str, url: &str, allow: &str, args: &[&str], env: &[(String, String)]) {
        let dir = self.agent_dir(name);
        let mut all: Vec<String> = [
            "agent",
            "--server",
            url,
            "--name",
            name,
            "--allow",
            allow,
            "--data-dir",
        ]
        .map(str::to_owned)
        .to_vec();
        all.push(dir.display().to_string());
        all.extend(args.iter().map(|arg| (*arg).to_owned()));
        let agent = AgentProcess {
            name: name.to_owned(),
            args: all,
            env: env.to_vec(),
            running: None,
        };
        self.agents.push(agent);
    }

    /// The binary of the server from its next start on.
    pub fn server_is(&mut self, program: &Path) {
        program.clone_into(&mut self.server_program);
    }

    /// The binary of all agents from their next start on.
    pub fn agents_are(&mut self, program: &Path) {
        program.clone_into(&mut self.agent_program);
    }

    /// Starts the server (again) and waits until it answers.
    ///
    /// # Panics
    /// When it does not.
    pub fn start_server(&mut self) {
        self.spawn_server();
        let address = self.address;
        wait::until("the server to answer", PATIENCE, || {
            http::request(address, "GET", "/healthz", &[], b"").ok()
        });
    }

    /// Starts the server without waiting: it may be set to crash.
    pub fn spawn_server(&mut self) {
        let mut command = process::program(&self.server_program);
        command
            .args(["server", "--listen", &self.address.to_string(), "--data-dir"])
            .arg(self.dir.path().join("server"));
        command
            .args(&self.server_args)
            .env(FAILPOINTS, self.failpoints())
            .envs(self.server_env.iter().map(|(k, v)| (k, v)));
        self.server = Some(Running::start("server", &mut command, &self.log("server")));
    }

    /// Sets the server's environment for its next start.
    pub fn server_env(&mut self, env: &[(String, String)]) {
        self.server_env = env.to_vec();
    }

    /// Starts an agent as another one runs, on its own data directory, which is there already.
    ///
    /// # Panics
    /// When the other is not known.
    pub fn clone_agent(&mut self, of: &str, name: &str) {
        let (from, to) = (self.agent_dir(of), self.agent_dir(name));
        let (from, to) = (from.display().to_string(), to.display().to_string());
        let original = self.agents.iter().find(|agent| agent.name == of);
        let original = original.expect("an agent of this stack");
        let agent = AgentProcess {
            name: name.to_owned(),
            args: original
                .args
                .iter()
                .map(|arg| if *arg == from { to.clone() } else { arg.clone() })
                .collect(),
            env: original.env.clone(),
            running: None,
        };
        self.agents.push(agent);
        self.spawn_agent(name);
    }

    /// Starts an agent (again) and waits until it is connected.
    ///
    /// # Panics
    /// When it is not known, or does not connect.
    pub fn start_agent(&mut self, name: &str) {
        self.spawn_agent(name);
        self.connected(name);
    }

    /// Waits until an agent is connected.
    ///
    /// # Panics
    /// When it does not connect.
    pub fn connected(&self, name: &str) {
        wait::until(&format!("agent {name} to connect"), PATIENCE, || {
            let agents = self.json(&["agents", "-o", "json"])?;
            let found = agents.as_array()?.iter().find(|a| a["name"] == name)?.clone();
            (found["state"] == "connected").then_some(())
        });
    }

    /// Starts an agent (again) without waiting: it may be set to crash.
    ///
    /// # Panics
    /// When it is not known.
    pub fn spawn_agent(&mut self, name: &str) {
        let (log, failpoints) = (self.log(name), self.failpoints());
        let agent = self
            .agents
            .iter_mut()
            .find(|agent| agent.name == name)
            .expect("an agent of this stack");
        let mut command = process::program(&self.agent_program);
        command
            .args(&agent.args)
            .env(FAILPOINTS, failpoints)
            .envs(agent.env.iter().map(|(k, v)| (k, v)));
        agent.running = Some(Running::start(name, &mut command, &log));
    }

    fn failpoints(&self) -> PathBuf {
        self.dir.path().join("failpoints")
    }

    /// Arms a named place of the product, once, for whichever process comes there first: `kill` or `stop`,
    /// with the visit that counts in front of it.
    ///
    /// # Panics
    /// When the file cannot be written.
    pub fn arm(&self, place: &str, deed: &str) {
        let new = self.failpoints().join(format!("{place}.new"));
        std::fs::write(&new, deed).expect("a file");
        std::fs::rename(new, self.failpoints().join(place)).expect("a file");
    }

    /// Takes the arming back, and what is left of one that was taken.
    pub fn disarm(&self, place: &str) {
        for name in [place.to_owned(), format!("{place}.reached")] {
            // What is not there need not be taken back.
            drop(std::fs::remove_file(self.failpoints().join(name)));
        }
    }

    /// Whether a process came to the armed place.
    #[must_use]
    pub fn reached(&self, place: &str) -> bool {
        self.failpoints().join(format!("{place}.reached")).exists()
    }

    /// The data directory of an agent.
    #[must_use]
    pub fn agent_dir(&self, name: &str) -> PathBuf {
        self.dir.path().join(format!("agent-{name}"))
    }

    /// The server's process.
    ///
    /// # Panics
    /// When it does not run.
    pub fn server_process(&mut self) -> &mut Running {
        self.server.as_mut().expect("a running server")
    }

    /// An agent's process.
    ///
    /// # Panics
    /// When it does not run.
    pub fn agent_process(&mut self, name: &str) -> &mut Running {
        let agent = self
            .agents
            .iter_mut()
            .find(|agent| agent.name == name)
            .expect("an agent of this stack");
        agent.running.as_mut().expect("a running agent")
    }

    /// The server's URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The server's address.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The directory that holds all data and logs.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    fn log(&self, name: &str) -> PathBuf {
        self.dir.path().join(format!("{name}.log"))
    }

    /// Writes a file into the stack's directory.
    ///
    /// # Panics
    /// When it cannot.
    #[must_use]
    pub fn file(&self, name: &str, text: &str) -> String {
        let path = self.dir.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path.display().to_string()
    }

    /// Runs a client command against this server.
    #[must_use]
    pub fn cli(&self, args: &[&str]) -> Output {
        process::finish(process::firehall().env("FIREHALL_SERVER", self.url()).args(args))
    }

    /// A client command's JSON, when it succeeds.
    #[must_use]
    pub fn json(&self, args: &[&str]) -> Option<Value> {
        let output = self.cli(args);
        output
            .status
            .success()
            .then(|| serde_json::from_slice(&output.stdout).ok())?
    }

    /// Starts a run of a definition's text; answers its id.
    ///
    /// # Panics
    /// When it is refused.
    #[must_use]
    pub fn start(&self, definition: &str, args: &[&str]) -> String {
        let file = self.file("workflow.yaml", definition);
        let output = self.cli(&[&["run", &file], args].concat());
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).expect("an id").trim().to_owned()
    }

    /// The run as `show -o json` has it.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn show(&self, run: &str) -> Value {
        self.json(&["show", run, "-o", "json"])
            .unwrap_or_else(|| panic!("no run {run}"))
    }

    /// Waits for a run's end; answers it whole.
    ///
    /// # Panics
    /// When it does not end in time.
    #[must_use]
    pub fn finished(&self, run: &str) -> Value {
        wait::until(&format!("{run} to end"), PATIENCE, || {
            let view = self.json(&["show", run, "-o", "json"])?;
            (!view["outcome"].is_null()).then_some(view)
        })
    }

    /// A step's standard output, whole, once the run has ended.
    #[must_use]
    pub fn logs(&self, run: &str, step: &str) -> Vec<u8> {
        self.cli(&["logs", run, step]).stdout
    }

    /// What one process said: `server`, or an agent's name.
    #[must_use]
    pub fn said_by(&self, name: &str) -> String {
        String::from_utf8_lossy(&std::fs::read(self.log(name)).unwrap_or_default()).into_owned()
    }

    /// What the processes said, for failing tests.
    #[must_use]
    pub fn said(&self) -> String {
        let mut all = String::new();
        for entry in std::fs::read_dir(self.dir.path()).into_iter().flatten().flatten() {
            if entry.path().extension().is_some_and(|e| e == "log") {
                let text = std::fs::read_to_string(entry.path()).unwrap_or_default();
                all.push_str(&format!("== {}\n{text}\n", entry.path().display()));
            }
        }
        all
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.said());
        }
        // Agents first; what they left running would outlive the directory.
        for agent in &mut self.agents {
            drop(agent.running.take());
        }
        // Shims outlive their agents by design; a test's own must not outlive the test.
        for pid in process::shims(self.dir.path()) {
            process::signal(pid, libc::SIGKILL);
        }
    }
}

//! The demo's processes: a Slack, a server, two agents.

use std::{path::Path, time::Duration};

use ::agent::RuntimeChoice;
use sdk::{AgentState, Client, RunView};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use super::{child::Child, wire};
use crate::{commands::put, exit::Fault, out};

/// How long the agents may take to connect.
const CONNECT: Duration = Duration::from_secs(30);
/// How long live runs may take to end when the demo is interrupted.
const END_RUNS: Duration = Duration::from_secs(8);
/// How long agents may take to remove what steps left: a busy daemon takes a container away slowly.
const REMOVALS: Duration = Duration::from_secs(60);
/// What `dev` grants too.
const GRANTS: &str = "host-view:proc,network:host";
const AGENTS: [&str; 2] = ["demo-east", "demo-west"];
const RUNBOOK: &str = "incident-response";

/// All of it.
pub(super) struct Stage {
    runtime: RuntimeChoice,
    dir: Option<TempDir>,
    /// In the order of their start; stopped in reverse.
    children: Vec<Child>,
    slack: Option<String>,
    server: String,
    client: Option<Client>,
}

impl Stage {
    pub(super) fn empty(runtime: RuntimeChoice) -> Result<Self, Fault> {
        let dir = tempfile::Builder::new()
            .prefix("firehall-demo-")
            .tempdir()
            .map_err(|error| Fault::failed(format!("no temporary directory: {error}")))?;
        Ok(Self {
            runtime,
            dir: Some(dir),
            children: Vec::new(),
            slack: None,
            server: String::new(),
            client: None,
        })
    }

    /// Starts everything and waits until it is ready.
    pub(super) async fn raise(
        &mut self,
        hosts: &[String],
        real_slack: bool,
        kept: bool,
    ) -> Result<(), Fault> {
        let slack = if real_slack {
            real_slack_env()?
        } else {
            self.emulator(kept).await?
        };
        let data = self.path()?.join("server").display().to_string();
        let args = ["server", "--listen", "127.0.0.1:0", "--data-dir", &data].map(str::to_owned);
        let address = self.start("server", &args, &[], kept)?.address().await?;
        self.server = format!("http://{address}");
        wire::wait_healthy(&self.server).await?;
        self.client = Some(Client::connect(&self.server).await?);
        for (i, name) in AGENTS.iter().enumerate() {
            let mine = hosts
                .iter()
                .skip(i)
                .step_by(AGENTS.len())
                .filter(|host| types::is_host_label(host));
            let args = self.agent_args(name, mine)?;
            self.start(name, &args, &slack, kept)?;
        }
        self.wait_for_agents().await
    }

    async fn emulator(&mut self, kept: bool) -> Result<Vec<(String, String)>, Fault> {
        let args = ["emulator", "slack", "--listen", "127.0.0.1:0"].map(str::to_owned);
        let address = self.start("slack", &args, &[], kept)?.address().await?;
        let url = format!("http://{address}");
        let token = emulators::slack::Config::demo().token;
        let env = [
            ("SLACK_API_URL", format!("{url}/api/")),
            ("SLACK_BOT_TOKEN", token),
        ];
        self.slack = Some(url);
        Ok(env.map(|(name, value)| (name.to_owned(), value)).to_vec())
    }

    fn agent_args<'a>(
        &self,
        name: &str,
        hosts: impl Iterator<Item = &'a String>,
    ) -> Result<Vec<String>, Fault> {
        let data = self.path()?.join(name).display().to_string();
        let runtime = self.runtime.to_string();
        let fixed = [
            "agent",
            "--server",
            &self.server,
            "--data-dir",
            &data,
            "--name",
            name,
            "--allow",
            GRANTS,
            "--runtime",
            &runtime,
        ];
        let labels = hosts.flat_map(|host| ["--label".to_owned(), format!("host={host}")]);
        Ok(fixed.into_iter().map(str::to_owned).chain(labels).collect())
    }

    fn start(
        &mut self,
        name: &str,
        args: &[String],
        env: &[(String, String)],
        kept: bool,
    ) -> Result<&mut Child, Fault> {
        let child = Child::start(name, args, env, self.path()?, kept)?;
        self.children.push(child);
        self.children
            .last_mut()
            .ok_or_else(|| Fault::failed("just pushed"))
    }

    async fn wait_for_agents(&mut self) -> Result<(), Fault> {
        let until = Instant::now() + CONNECT;
        loop {
            let agents = self.client()?.agents().await?;
            let connected = agents
                .iter()
                .filter(|agent| agent.state == AgentState::Connected)
                .count();
            if connected == AGENTS.len() {
                return Ok(());
            }
            if let Some(ended) = self
                .children
                .iter_mut()
                .find_map(|child| child.has_ended().then_some(&child.name))
            {
                return Err(Fault::failed(format!("{ended} ended while the demo began")));
            }
            if Instant::now() >= until {
                return Err(Fault::failed(format!(
                    "{connected} of {} agents connected in {CONNECT:?}",
                    AGENTS.len()
                )));
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    fn path(&self) -> Result<&Path, Fault> {
        self.dir
            .as_ref()
            .map(TempDir::path)
            .ok_or_else(|| Fault::failed("the demo's directory was given away"))
    }

    pub(super) fn client(&self) -> Result<&Client, Fault> {
        self.client
            .as_ref()
            .ok_or_else(|| Fault::failed("the demo has no server yet"))
    }

    pub(super) fn server_url(&self) -> &str {
        &self.server
    }

    /// The run's war room as the emulator has it.
    pub(super) async fn room(&self, run: &RunView) -> Result<Option<Value>, Fault> {
        let Some(slack) = &self.slack else { return Ok(None) };
        let Some(channel) = super::ending::war_room(run).and_then(|room| room["channel"].as_str()) else {
            return Ok(None);
        };
        let state = wire::get_json(&format!("{slack}/_emulator/state")).await?;
        let channels = state["channels"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        Ok(channels.iter().find(|one| one["id"] == channel).cloned())
    }

    /// Stops what was started, the last first, and takes its data away. Steps outlive their agent by design, so
    /// runs that are still live are ended first.
    pub(super) async fn stop(&mut self) {
        if let Some(client) = &self.client {
            // Should the server be gone already, there is nobody left to ask.
            let _late = tokio::time::timeout(END_RUNS, end_runs(client)).await;
            self.wait_for_removals().await;
        }
        while let Some(mut child) = self.children.pop() {
            child.stop().await;
        }
        if let Some(dir) = self.dir.take() {
            let path = dir.path().to_owned();
            if let Err(error) = dir.close() {
                out::note(&format!(
                    "firehall: {} could not be removed: {error}",
                    path.display()
                ));
            }
        }
    }

    /// What a run left is its agents' to remove. On their data directory there is no agent after them that would.
    async fn wait_for_removals(&mut self) {
        let until = Instant::now() + REMOVALS;
        loop {
            let left: usize = AGENTS.iter().map(|name| self.attempts_of(name)).sum();
            let is_agent = |child: &&mut Child| AGENTS.contains(&child.name.as_str());
            let mut agents = self.children.iter_mut().filter(is_agent);
            if left == 0 || agents.any(Child::has_ended) {
                return;
            }
            if Instant::now() >= until {
                out::note(&format!(
                    "firehall: what {left} steps left on this host could not be removed in {REMOVALS:?}; containers of a daemon \
                     are listed by `docker ps --all --filter label=io.firehall.owner`"
                ));
                return;
            }
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// How many attempts are in an agent's data directory.
    fn attempts_of(&self, agent: &str) -> usize {
        let attempts = self
            .dir
            .as_ref()
            .map(|dir| dir.path().join(agent).join("attempts"));
        // Where the agent never began there is no directory, and nothing to remove.
        let entries = attempts.and_then(|attempts| std::fs::read_dir(attempts).ok());
        entries.map_or(0, Iterator::count)
    }

    /// Leaves everything running and says where.
    pub(super) fn keep(&mut self) -> Result<(), Fault> {
        let dir = self
            .dir
            .take()
            .map(TempDir::keep)
            .unwrap_or_default()
            .display()
            .to_string();
        out::line(&format!("\nleft running: server {}", self.server))?;
        if let Some(slack) = &self.slack {
            out::line(&format!("              Slack emulator {slack}"))?;
        }
        out::line(&format!("              data and logs {dir}"))?;
        let pids: Vec<String> = self
            .children
            .iter()
            .rev()
            .filter_map(Child::pid)
            .map(|pid| pid.to_string())
            .collect();
        out::line(&format!("to look:      firehall runs --server {}", self.server))?;
        out::line(&format!(
            "to stop:      kill {}; sleep 2; rm -r {dir}",
            pids.join(" ")
        ))?;
        for child in self.children.drain(..) {
            child.release();
        }
        Ok(())
    }

    /// After a failure: what the processes said last.
    pub(super) fn tell_logs(&self) {
        for child in &self.children {
            out::note(&format!(
                "--- {}\n{}",
                child.name,
                crate::text::block(&child.last_words())
            ));
        }
    }
}

async fn end_runs(client: &Client) -> Result<(), sdk::Error> {
    loop {
        let runs = client.list_runs(50, "", "").await?;
        let live: Vec<&RunView> = runs.iter().filter(|run| run.outcome.is_none()).collect();
        if live.is_empty() {
            return Ok(());
        }
        for run in live.iter().filter(|run| !run.cancel_requested) {
            client.cancel(&run.id, "the demo ends").await?;
        }
        sleep(Duration::from_millis(50)).await;
    }
}

fn real_slack_env() -> Result<Vec<(String, String)>, Fault> {
    let token = std::env::var("SLACK_BOT_TOKEN")
        .ok()
        .filter(|token| !token.is_empty());
    let token = token.ok_or_else(|| Fault::usage("--slack real needs SLACK_BOT_TOKEN in the environment"))?;
    let url = std::env::var("SLACK_API_URL")
        .ok()
        .map(|url| ("SLACK_API_URL".to_owned(), url));
    Ok([("SLACK_BOT_TOKEN".to_owned(), token)]
        .into_iter()
        .chain(url)
        .collect())
}

/// Keeps the shipped runbook, with other responders where some are given.
pub(super) async fn keep_runbook(client: &Client, responders: Option<Vec<String>>) -> Result<(), Fault> {
    let source =
        put::shipped(RUNBOOK).ok_or_else(|| Fault::failed("this binary ships no incident-response"))?;
    let file = format!("{RUNBOOK}.yaml");
    let source = match responders {
        Some(responders) => {
            let defaults = types::Object::from_iter([("responders".to_owned(), json!(responders))]);
            put::replace_defaults(source, None, &defaults)?
        }
        None => source.to_owned(),
    };
    client.put_workflow(&file, &source).await?;
    Ok(())
}

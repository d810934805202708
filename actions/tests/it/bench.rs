//! What every test here needs: an emulator, a context, and actions run through the registry.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use actions::{
    ActionContext, ActionError, ActionOutput, Clock, Connections, LogSink, Mask, Registry, SlackConnection,
};
use emulators::slack::{Config, Emulator, spawn};
use serde_json::{Value, json};
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;
use types::{LeaseToken, RunId, Timestamp};

pub(crate) struct Bench {
    pub(crate) slack: Emulator,
    pub(crate) connections: Connections,
    pub(crate) attempt: u32,
    pub(crate) budget: Duration,
    pub(crate) run: RunId,
    /// Everything that was logged.
    pub(crate) log: Arc<Mutex<String>>,
}

pub(crate) const REFERENCE: &str = "inc_01kaaaaaaaaaaaaaaaaaaaabcd";

pub(crate) fn context(
    connections: Connections,
    run: RunId,
    step: &str,
    attempt: u32,
    budget: Duration,
) -> (ActionContext, mpsc::Receiver<Vec<u8>>) {
    let (sender, receiver) = mpsc::channel(10_000);
    let context = ActionContext {
        run,
        step: step.to_owned(),
        index: None,
        attempt,
        token: LeaseToken::new(Timestamp::from_unix_ms(1), [3; 10]),
        clock: Clock::new(|| Timestamp::from_unix_ms(1_763_923_500_000)),
        connections,
        mask: Mask::none(),
        cancel: CancellationToken::new(),
        log: LogSink::new(sender),
        deadline: Instant::now() + budget,
    };
    (context, receiver)
}

pub(crate) fn run_id() -> RunId {
    RunId::new(Timestamp::from_unix_ms(1_763_923_500_000), [7; 10])
}

impl Bench {
    pub(crate) async fn demo() -> Self {
        Self::with(Config::demo()).await
    }

    pub(crate) async fn with(config: Config) -> Self {
        let token = config.token.clone();
        let slack = spawn(config).await.unwrap();
        let connection = SlackConnection::new(&slack.api_url(), token).unwrap();
        Self {
            slack,
            connections: Connections {
                slack: Some(connection),
                ..Connections::default()
            },
            attempt: 1,
            budget: Duration::from_secs(40),
            run: run_id(),
            log: Arc::default(),
        }
    }

    pub(crate) async fn action(
        &self,
        step: &str,
        name: &str,
        params: Value,
    ) -> Result<ActionOutput, ActionError> {
        let (context, mut lines) = context(
            self.connections.clone(),
            self.run.clone(),
            step,
            self.attempt,
            self.budget,
        );
        let result = Registry::builtin()
            .run(name, &context, params.as_object().unwrap().clone())
            .await;
        while let Ok(line) = lines.try_recv() {
            self.log
                .lock()
                .unwrap()
                .push_str(&String::from_utf8(line).unwrap());
        }
        result
    }

    pub(crate) async fn people(&self, users: &[&str]) -> Value {
        let out = self
            .action("resolve", "slack/resolve-users", json!({"users": users}))
            .await
            .unwrap();
        out.outputs["people"].clone()
    }

    pub(crate) async fn room(
        &self,
        incident: &Value,
        people: &Value,
        privacy: &str,
    ) -> Result<ActionOutput, ActionError> {
        let params = json!({"incident": incident, "people": people, "privacy": privacy});
        self.action("create-war-room", "slack/war-room", params).await
    }

    pub(crate) fn channel(&self, room: &ActionOutput) -> Value {
        self.slack
            .handle()
            .channel(room.outputs["room"]["name"].as_str().unwrap())
            .unwrap()
    }

    pub(crate) fn count(&self, method: &str) -> usize {
        self.slack
            .handle()
            .calls()
            .iter()
            .filter(|call| call.method == method)
            .count()
    }
}

pub(crate) fn incident(title: &str) -> Value {
    json!({
        "source": "datadog", "id": "DD-77", "reference": REFERENCE, "title": title, "severity": "critical",
        "description": "p99 is up", "hosts": ["api-1", "api-2"], "tags": ["env:prod", "team:backend"], "teams": ["backend"],
        "links": [{"title": "Dashboard", "url": "https://dash.example/d?a=1&b=2"}],
        "monitor": {"id": "12", "name": "p99", "query": "avg:x{*} > 1"}, "metrics": {"rps": "1247"}, "notes": []
    })
}

/// Messages of a channel that carry text of ours, system lines aside.
pub(crate) fn messages(channel: &Value) -> Vec<Value> {
    let all = channel["messages"].as_array().unwrap();
    all.iter()
        .filter(|message| message.get("subtype").is_none())
        .cloned()
        .collect()
}

/// System lines of a kind.
pub(crate) fn system(channel: &Value, subtype: &str) -> usize {
    channel["messages"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|message| message["subtype"] == subtype)
        .count()
}

/// All text in the blocks of a message.
pub(crate) fn block_text(message: &Value) -> String {
    fn walk(value: &Value, out: &mut String) {
        match value {
            Value::Array(list) => list.iter().for_each(|item| walk(item, out)),
            Value::Object(object) => {
                if let Some(Value::String(text)) = object.get("text") {
                    out.push_str(text);
                    out.push('\n');
                }
                object.values().for_each(|item| walk(item, out));
            }
            _ => {}
        }
    }
    let mut out = String::new();
    walk(&message["blocks"], &mut out);
    out
}

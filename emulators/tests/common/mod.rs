//! A minimal client of the emulator, for its own tests.
#![allow(dead_code, reason = "each test file uses its own part")]
#![allow(clippy::unwrap_used, reason = "tests")]
#![allow(unreachable_pub, reason = "shared by the test files")]

use std::time::Duration;

use emulators::slack::{Config, Emulator, Fault, FaultKind, spawn};
use serde_json::{Value, json};

pub struct Reply {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub text: String,
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

pub struct Slack {
    pub emulator: Emulator,
    pub http: reqwest::Client,
    pub token: String,
}

impl Slack {
    pub async fn start(config: Config) -> Self {
        let token = config.token.clone();
        let emulator = spawn(config).await.unwrap();
        // reqwest is built without a TLS provider of its own and wants one even for plain HTTP. The second
        // test of a process finds it installed.
        let _already = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(20))
            .build()
            .unwrap();
        Self {
            emulator,
            http,
            token,
        }
    }

    /// The demo's workspace, without rate limits.
    pub async fn demo() -> Self {
        Self::start(Config::demo().without_limits()).await
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.emulator.address())
    }

    pub async fn send(&self, request: reqwest::RequestBuilder) -> Reply {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Reply {
            status,
            headers,
            text: response.text().await.unwrap(),
        }
    }

    pub fn request(&self, method: &str, body: &Value) -> reqwest::RequestBuilder {
        let request = self
            .http
            .post(self.url(&format!("/api/{method}")))
            .bearer_auth(&self.token);
        request
            .header("content-type", "application/json; charset=utf-8")
            .body(body.to_string())
    }

    /// A write method with a JSON body.
    pub async fn reply(&self, method: &str, body: Value) -> Reply {
        self.send(self.request(method, &body)).await
    }

    pub async fn post(&self, method: &str, body: Value) -> Value {
        let reply = self.reply(method, body).await;
        assert_eq!(reply.status, 200, "{method}: {}", reply.text);
        reply.json()
    }

    /// A write that must succeed.
    pub async fn done(&self, method: &str, body: Value) -> Value {
        let answer = self.post(method, body).await;
        assert_eq!(answer["ok"], true, "{method}: {answer}");
        answer
    }

    /// A write that must fail with this code.
    pub async fn fails(&self, method: &str, body: Value, code: &str) -> Value {
        let answer = self.post(method, body).await;
        assert_eq!(answer["ok"], false, "{method}: {answer}");
        assert_eq!(answer["error"], code, "{method}: {answer}");
        answer
    }

    /// A read method with a query.
    pub async fn get(&self, method: &str, query: &[(&str, &str)]) -> Value {
        let request = self
            .http
            .get(self.url(&format!("/api/{method}")))
            .bearer_auth(&self.token)
            .query(query);
        let reply = self.send(request).await;
        assert_eq!(reply.status, 200, "{method}: {}", reply.text);
        reply.json()
    }

    /// A new channel's id.
    pub async fn room(&self, name: &str) -> String {
        let answer = self.done("conversations.create", json!({ "name": name })).await;
        answer["channel"]["id"].as_str().unwrap().to_owned()
    }

    /// Posts a text; its `ts`.
    pub async fn say(&self, channel: &str, text: &str) -> String {
        let answer = self
            .done("chat.postMessage", json!({ "channel": channel, "text": text }))
            .await;
        answer["ts"].as_str().unwrap().to_owned()
    }

    pub fn channel(&self, name: &str) -> Value {
        self.emulator.handle().channel(name).unwrap()
    }

    /// The channel's messages that somebody wrote, as the control API shows them.
    pub fn said(&self, name: &str) -> Vec<Value> {
        let channel = self.channel(name);
        let all = channel["messages"].as_array().unwrap();
        all.iter()
            .filter(|message| message.get("subtype").is_none())
            .cloned()
            .collect()
    }

    pub fn inject(&self, method: &str, kind: FaultKind) {
        self.emulator.handle().inject(Fault::once(method, kind)).unwrap();
    }

    /// Posts to the control API.
    pub async fn control(&self, path: &str, body: Value) -> Reply {
        let request = self.http.post(self.url(&format!("/_emulator/{path}")));
        self.send(
            request
                .header("content-type", "application/json")
                .body(body.to_string()),
        )
        .await
    }
}

/// The ids in an array of objects.
pub fn ids(list: &Value) -> Vec<&str> {
    list.as_array()
        .unwrap()
        .iter()
        .map(|item| item["id"].as_str().unwrap())
        .collect()
}

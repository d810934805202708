//! HashiCorp Vault: a login by AppRole, a token that is renewed at half of its life, key-value version 2
//! (<https://developer.hashicorp.com/vault/api-docs>).

use std::time::{Duration, Instant};

use node::egress::{self, Egress};
use serde_json::{Value, json};
use tokio::sync::{Mutex, Notify};
use types::Secret;

use super::{Masks, error::Cause};
use crate::file::VaultPlace;

/// The largest answer.
const ANSWER_BYTES: usize = 1024 * 1024;
/// Tries of one request while what fails may pass.
const TRIES: u32 = 3;
/// Between tries, and at most what the server asks for.
const PAUSE: Duration = Duration::from_millis(300);
const PAUSE_MAX: Duration = Duration::from_secs(3);
/// Between tries to renew a token.
const RENEW_PAUSE: Duration = Duration::from_secs(5);
/// A token with less time than this is not worth renewing: its longest life is near.
const LIFE_MIN: Duration = Duration::from_secs(2);
/// How much of an answer's own words is shown.
const SHOWN: usize = 200;

/// One Vault and the agent's token there.
pub(super) struct Vault {
    place: VaultPlace,
    token: Mutex<Option<Token>>,
    /// There is a new token.
    logged_in: Notify,
    http: Mutex<Option<Http>>,
}

/// A client, and the authorities that it was made with.
struct Http {
    ca: Option<Vec<u8>>,
    client: reqwest::Client,
}

#[derive(Clone)]
struct Token {
    value: Secret,
    taken: Instant,
    life: Duration,
    renewable: bool,
}

impl Token {
    /// It will not end while a request is under way.
    fn is_fresh(&self) -> bool {
        self.taken.elapsed() < self.life.mul_f32(0.9)
    }
}

/// An answer that was understood.
struct Answer {
    status: u16,
    body: Value,
}

impl Answer {
    /// Vault's own words, when it had any.
    fn words(&self) -> String {
        let errors = self.body.get("errors").and_then(Value::as_array);
        let words: Vec<&str> = errors.into_iter().flatten().filter_map(Value::as_str).collect();
        let words = types::text::clip(&words.join("; "), SHOWN);
        if words.is_empty() {
            format!("HTTP {}", self.status)
        } else {
            format!("HTTP {}: {words}", self.status)
        }
    }
}

impl Vault {
    pub(super) fn new(place: VaultPlace) -> Self {
        Self {
            place,
            token: Mutex::new(None),
            logged_in: Notify::new(),
            http: Mutex::new(None),
        }
    }

    /// The secret of the file that is the role's secret id.
    pub(super) fn secret_id(&self) -> &str {
        &self.place.secret_id
    }

    /// Whether a read needs a login first.
    pub(super) async fn is_logged_in(&self) -> bool {
        self.token.lock().await.as_ref().is_some_and(Token::is_fresh)
    }

    /// Logs in, unless somebody else just did.
    pub(super) async fn login(&self, secret_id: &Secret, masks: &Masks) -> Result<(), Cause> {
        let mut held = self.token.lock().await;
        if held.as_ref().is_some_and(Token::is_fresh) {
            return Ok(());
        }
        let url = format!("{}/v1/auth/{}/login", self.place.address, self.place.auth_mount);
        let body = json!({ "role_id": self.place.role_id, "secret_id": secret_id.expose() });
        let answer = self.ask(|http| http.post(&url).json(&body)).await?;
        if answer.status != 200 {
            let words = answer.words();
            return Err(Cause::lasting(format!(
                "Vault refuses the login as role-id with secret-id {} ({words}): look at [vault] and at the role",
                self.place.secret_id
            )));
        }
        let token = token(&answer.body)?;
        masks.learn("the token of Vault", &token.value);
        tracing::info!(life = ?token.life, renewable = token.renewable, "logged in to Vault");
        *held = Some(token);
        self.logged_in.notify_one();
        Ok(())
    }

    /// A key of a secret's latest version. None when the token is not taken any more: log in and ask again.
    pub(super) async fn read(&self, path: &str, key: &str) -> Result<Option<Vec<u8>>, Cause> {
        let Some(token) = self.token.lock().await.clone() else {
            return Ok(None);
        };
        let url = format!("{}/v1/{}/data/{path}", self.place.address, self.place.mount);
        let asked = |http: &reqwest::Client| http.get(&url).header("X-Vault-Token", token.value.expose());
        let answer = self.ask(asked).await?;
        let engine = &self.place.mount;
        match answer.status {
            200 => value(&answer.body, key).map(Some),
            403 => {
                let mut held = self.token.lock().await;
                // Revoked, or ended early, or the role may not read it: a new login tells.
                if held.as_ref().is_some_and(|held| held.value == token.value) {
                    *held = None;
                }
                Ok(None)
            }
            404 => Err(Cause::lasting(format!(
                "nothing is at {engine}/{path}, or its latest version is deleted ({})",
                answer.words()
            ))),
            _ => Err(Cause::lasting(format!("Vault answers {}", answer.words()))),
        }
    }

    /// What is said when a new token may not read it either.
    pub(super) fn forbidden(&self, path: &str) -> Cause {
        Cause::lasting(format!(
            "permission denied: the role's policy must let it read {}/data/{path}",
            self.place.mount
        ))
    }

    /// Renews the token at half of its life, again and again; without one it waits. A token that cannot be renewed is used
    /// to its end, and the next read logs in.
    pub(super) async fn keep(&self) {
        loop {
            let wait = match &*self.token.lock().await {
                Some(token) if token.renewable && token.life >= LIFE_MIN => {
                    Some((token.life / 2).saturating_sub(token.taken.elapsed()))
                }
                _ => None,
            };
            let Some(wait) = wait else {
                self.logged_in.notified().await;
                continue;
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.logged_in.notified() => continue,
            }
            if let Err(why) = self.renew().await {
                tracing::warn!(%why, "the token of Vault is not renewed");
                tokio::time::sleep(RENEW_PAUSE).await;
            }
        }
    }

    async fn renew(&self) -> Result<(), String> {
        let Some(before) = self.token.lock().await.clone() else {
            return Ok(());
        };
        if !before.is_fresh() {
            *self.token.lock().await = None;
            return Err("it has come to its end; the next read logs in".to_owned());
        }
        let url = format!("{}/v1/auth/token/renew-self", self.place.address);
        let asked = |http: &reqwest::Client| {
            let request = http.post(&url).header("X-Vault-Token", before.value.expose());
            request.json(&json!({}))
        };
        let answer = self.ask(asked).await.map_err(|cause| cause.to_string())?;
        let mut held = self.token.lock().await;
        if held.as_ref().is_none_or(|held| held.value != before.value) {
            return Ok(());
        }
        if answer.status != 200 {
            *held = None;
            return Err(format!("{}; the next read logs in", answer.words()));
        }
        let renewed = token(&answer.body).map_err(|cause| cause.to_string())?;
        tracing::debug!(life = ?renewed.life, "the token of Vault is renewed");
        *held = Some(renewed);
        Ok(())
    }

    /// One request; again when what failed may pass.
    async fn ask(
        &self,
        request: impl Fn(&reqwest::Client) -> reqwest::RequestBuilder,
    ) -> Result<Answer, Cause> {
        let http = self.client().await?;
        let mut tries = 0;
        loop {
            tries += 1;
            let mut request = request(&http).header("X-Vault-Request", "true");
            if let Some(namespace) = &self.place.namespace {
                request = request.header("X-Vault-Namespace", namespace);
            }
            let (why, pause) = match request.send().await {
                Err(error) => (egress::chain(&error), PAUSE),
                Ok(response) => {
                    let status = response.status().as_u16();
                    let asked = response
                        .headers()
                        .get("retry-after")
                        .and_then(|text| text.to_str().ok());
                    let asked = asked.and_then(|text| text.parse().ok()).map(Duration::from_secs);
                    let body = egress::read(response, ANSWER_BYTES).await;
                    let body = body.map_err(|error| Cause::passing(error.to_string()))?;
                    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
                    let answer = Answer { status, body };
                    // 412: a standby that has not caught up; 472 and 473: one that answers no reads.
                    if !matches!(status, 412 | 429 | 472 | 473 | 500..=599) {
                        return Ok(answer);
                    }
                    (
                        format!("Vault answers {}", answer.words()),
                        asked.unwrap_or(PAUSE).min(PAUSE_MAX),
                    )
                }
            };
            if tries == TRIES {
                return Err(Cause::passing(format!("{}: {why}", self.place.address)));
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// A client with the authorities of now: their file may have been rotated.
    async fn client(&self) -> Result<reqwest::Client, Cause> {
        let ca = match &self.place.ca {
            Some(path) => {
                let pem = tokio::fs::read(path).await;
                Some(pem.map_err(|error| Cause::lasting(format!("vault.ca {}: {error}", path.display())))?)
            }
            None => None,
        };
        let mut held = self.http.lock().await;
        if let Some(http) = held.as_ref().filter(|http| http.ca == ca) {
            return Ok(http.client.clone());
        }
        let egress = Egress {
            authorities: ca.clone(),
            ..Egress::to(&self.place.address)
        };
        let client = egress
            .client()
            .map_err(|error| Cause::lasting(error.to_string()))?;
        *held = Some(Http {
            ca,
            client: client.clone(),
        });
        Ok(client)
    }
}

fn token(body: &Value) -> Result<Token, Cause> {
    let auth = body.get("auth");
    let text = |key: &str| auth.and_then(|auth| auth.get(key));
    let value = text("client_token").and_then(Value::as_str).filter(|token| {
        // It goes into a header.
        !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic())
    });
    let Some(value) = value else {
        return Err(Cause::lasting(
            "Vault's answer to the login has no token: is address a Vault's?",
        ));
    };
    // 0 is a token without an end.
    let life = match text("lease_duration").and_then(Value::as_u64) {
        None | Some(0) => Duration::from_secs(365 * 86_400),
        Some(seconds) => Duration::from_secs(seconds),
    };
    Ok(Token {
        value: Secret::new(value.to_owned()),
        taken: Instant::now(),
        life,
        renewable: text("renewable").and_then(Value::as_bool).unwrap_or_default(),
    })
}

fn value(body: &Value, key: &str) -> Result<Vec<u8>, Cause> {
    let data = body.get("data").and_then(|data| data.get("data"));
    match data.and_then(|data| data.get(key)) {
        Some(Value::String(text)) => Ok(text.clone().into_bytes()),
        Some(_) => Err(Cause::lasting(format!("its key {key} is not a text"))),
        None if data.is_some() => Err(Cause::lasting(format!("it has no key {key}"))),
        None => Err(Cause::lasting(
            "Vault's answer is none of a key-value engine of version 2: look at vault.mount",
        )),
    }
}

#[cfg(test)]
mod tests;

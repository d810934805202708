//! What the agent holds to reach vendors. Tokens are read once, kept as [`Secret`]s and go into headers only.

use std::sync::Arc;

use node::egress::{Egress, EgressError};
use types::Secret;

use crate::{
    GithubConnection, Http, Upstream, datadog, kubernetes::KubernetesConnection, llm::LlmConnection, loki,
    pagerduty::PagerDutyConnection, prometheus, slack,
};

/// Reads a variable; none when it is not set, or empty.
pub(crate) type Get<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The connections of an agent.
#[derive(Debug, Clone, Default)]
pub struct Connections {
    /// Slack.
    pub slack: Option<SlackConnection>,
    /// Datadog.
    pub datadog: Option<DatadogConnection>,
    /// Prometheus, or what speaks as it does.
    pub prometheus: Option<Upstream>,
    /// Loki.
    pub loki: Option<Upstream>,
    /// GitHub.
    pub github: Option<GithubConnection>,
    /// A Kubernetes cluster.
    pub kubernetes: Option<KubernetesConnection>,
    /// PagerDuty.
    pub pagerduty: Option<PagerDutyConnection>,
    /// A model.
    pub llm: Option<LlmConnection>,
    /// Where `http/request` may go.
    pub http: Http,
}

/// Slack's Web API with a bot token.
#[derive(Debug, Clone)]
pub struct SlackConnection {
    /// The base including `/api/`, with its final slash.
    pub(crate) base: String,
    pub(crate) token: Secret,
    pub(crate) http: reqwest::Client,
    pub(crate) cache: Arc<slack::Cache>,
}

/// Datadog's API with its keys.
#[derive(Debug, Clone)]
pub struct DatadogConnection {
    /// `https://api.<site>`, without a final slash.
    pub(crate) base: String,
    pub(crate) api_key: Secret,
    pub(crate) app_key: Secret,
    pub(crate) http: reqwest::Client,
    /// Where people look: `https://app.datadoghq.com`; none when the site is not known.
    pub(crate) ui: Option<String>,
}

/// Why the environment describes no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// A variable is no URL that we can use.
    #[error("{variable}: expected an http or https URL, such as {example}")]
    Url {
        /// The variable.
        variable: &'static str,
        /// What it may look like.
        example: &'static str,
    },
    /// A token that cannot stand in a header.
    #[error("{variable}: it holds characters that no token has (a line break?)")]
    Token {
        /// The variable.
        variable: &'static str,
    },
    /// One of two keys is missing.
    #[error("{present} is set but {missing} is not: both are needed")]
    Half {
        /// The one that is there.
        present: &'static str,
        /// The one that is not.
        missing: &'static str,
    },
    /// Two ways to say who we are.
    #[error("{one} and {other} are both set: give one of them")]
    Both {
        /// The one.
        one: &'static str,
        /// The other.
        other: &'static str,
    },
    /// Something is set that needs another.
    #[error("{present} is set but {missing} is not")]
    Needs {
        /// The one that is there.
        present: &'static str,
        /// The one that is not.
        missing: &'static str,
    },
    /// A variable says something else than it may.
    #[error("{variable}: expected {words}")]
    Word {
        /// The variable.
        variable: &'static str,
        /// What it takes.
        words: &'static str,
    },
    /// A file that a variable names.
    #[error("{variable}: {what}")]
    File {
        /// The variable.
        variable: &'static str,
        /// What is wrong with it.
        what: String,
    },
    /// A site that is no host name.
    #[error("DD_SITE: expected a site such as datadoghq.eu")]
    Site,
    /// A named HTTP connection that is none.
    #[error("--http {name}: {why}")]
    Http {
        /// Its name.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// No HTTP client.
    #[error(transparent)]
    Client(#[from] EgressError),
}

impl Connections {
    /// `SLACK_BOT_TOKEN`, `SLACK_API_URL` (https://slack.com/api/ by default, with or without the final slash);
    /// `DD_API_KEY`, `DD_APP_KEY`, `DD_SITE` (datadoghq.com by default), `DD_API_URL` (instead of the site's);
    /// `PROMETHEUS_URL` and `LOKI_ADDR`, each with `…_BEARER_TOKEN`, or `…_USERNAME` and `…_PASSWORD`, and `…_ORG_ID`;
    /// `GITHUB_TOKEN`, `GITHUB_API_URL` (https://api.github.com by default); for Kubernetes, PagerDuty and a model
    /// see docs/connections.md.
    ///
    /// # Errors
    /// When a variable is there and wrong. What is not there is no connection.
    pub fn from_env(get: &dyn Fn(&str) -> Option<String>) -> Result<Self, ConnectionError> {
        let get = |name: &str| {
            get(name)
                .map(|text| text.trim().to_owned())
                .filter(|text| !text.is_empty())
        };
        let kubernetes = KubernetesConnection::from_env(&get)?;
        let pagerduty = PagerDutyConnection::from_env(&get)?;
        let llm = LlmConnection::from_env(&get)?;
        let slack = match get("SLACK_BOT_TOKEN") {
            Some(token) => {
                let base = get("SLACK_API_URL").unwrap_or_else(|| slack::DEFAULT_BASE.to_owned());
                Some(SlackConnection::new(&base, token)?)
            }
            None => None,
        };
        let datadog = match (get("DD_API_KEY"), get("DD_APP_KEY")) {
            (Some(api), Some(app)) => Some(DatadogConnection::new(
                get("DD_SITE").as_deref(),
                get("DD_API_URL").as_deref(),
                api,
                app,
            )?),
            (Some(_), None) => {
                return Err(ConnectionError::Half {
                    present: "DD_API_KEY",
                    missing: "DD_APP_KEY",
                });
            }
            (None, Some(_)) => {
                return Err(ConnectionError::Half {
                    present: "DD_APP_KEY",
                    missing: "DD_API_KEY",
                });
            }
            (None, None) => None,
        };
        Ok(Self {
            slack,
            datadog,
            prometheus: Upstream::from_env(&get, &prometheus::VARIABLES)?,
            loki: Upstream::from_env(&get, &loki::VARIABLES)?,
            github: GithubConnection::from_env(&get)?,
            kubernetes,
            pagerduty,
            llm,
            http: Http::default(),
        })
    }

    /// The names of those that are there, for placement.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        [
            ("slack", self.slack.is_some()),
            ("datadog", self.datadog.is_some()),
            ("prometheus", self.prometheus.is_some()),
            ("loki", self.loki.is_some()),
            ("github", self.github.is_some()),
            ("kubernetes", self.kubernetes.is_some()),
            ("pagerduty", self.pagerduty.is_some()),
            ("llm", self.llm.is_some()),
        ]
        .into_iter()
        .filter(|(_, there)| *there)
        .map(|(name, _)| name.to_owned())
        .chain(self.http.names())
        .collect()
    }

    /// The secrets in them, for the masking of logs.
    #[must_use]
    pub fn secrets(&self) -> Vec<Secret> {
        let slack = self.slack.iter().map(|slack| slack.token.clone());
        let datadog = self
            .datadog
            .iter()
            .flat_map(|datadog| [datadog.api_key.clone(), datadog.app_key.clone()]);
        let upstreams = self.prometheus.iter().chain(&self.loki);
        let kubernetes = self.kubernetes.iter().filter_map(KubernetesConnection::secret);
        let pagerduty = self.pagerduty.iter().map(|one| one.token.clone());
        let llm = self.llm.iter().map(|llm| llm.key.clone());
        slack
            .chain(datadog)
            .chain(upstreams.flat_map(Upstream::secrets))
            .chain(self.github.iter().map(GithubConnection::secret))
            .chain(kubernetes.chain(pagerduty).chain(llm))
            .chain(self.http.secrets())
            .collect()
    }
}

impl SlackConnection {
    /// To a base URL that includes `/api/`, with or without the final slash.
    ///
    /// # Errors
    /// When the URL is none, the token cannot stand in a header, or no client can be made.
    pub fn new(base: &str, token: String) -> Result<Self, ConnectionError> {
        let example = slack::DEFAULT_BASE;
        let base = base_url(base).ok_or(ConnectionError::Url {
            variable: "SLACK_API_URL",
            example,
        })?;
        header_safe(&token, "SLACK_BOT_TOKEN")?;
        let http = Egress::to(&base).client()?;
        Ok(Self {
            base: format!("{base}/"),
            token: Secret::new(token),
            http,
            cache: Arc::default(),
        })
    }
}

impl DatadogConnection {
    /// To a site, or to an explicit API URL.
    ///
    /// # Errors
    /// When site or URL is none, a key cannot stand in a header, or no client can be made.
    pub fn new(
        site: Option<&str>,
        url: Option<&str>,
        api: String,
        app: String,
    ) -> Result<Self, ConnectionError> {
        header_safe(&api, "DD_API_KEY")?;
        header_safe(&app, "DD_APP_KEY")?;
        if site.is_some_and(|site| !types::is_host_label(site)) {
            return Err(ConnectionError::Site);
        }
        let base = match url {
            Some(url) => base_url(url).ok_or(ConnectionError::Url {
                variable: "DD_API_URL",
                example: "https://api.datadoghq.eu",
            })?,
            None => format!("https://api.{}", site.unwrap_or(datadog::DEFAULT_SITE)),
        };
        // Behind an explicit URL the site is known only when it was given.
        let ui = match (site, url) {
            (None, Some(_)) => None,
            (site, _) => Some(datadog::ui_of(site.unwrap_or(datadog::DEFAULT_SITE))),
        };
        let http = Egress::to(&base).client()?;
        Ok(Self {
            base,
            api_key: Secret::new(api),
            app_key: Secret::new(app),
            http,
            ui,
        })
    }
}

/// Without its final slashes; none unless it is http or https with a host, and without query or fragment.
pub(crate) fn base_url(text: &str) -> Option<String> {
    let url = reqwest::Url::parse(text.trim()).ok()?;
    let fits = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    fits.then(|| url.as_str().trim_end_matches('/').to_owned())
}

pub(crate) fn header_safe(token: &str, variable: &'static str) -> Result<(), ConnectionError> {
    if token.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(())
    } else {
        Err(ConnectionError::Token { variable })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn of(vars: &[(&str, &str)]) -> Result<Connections, ConnectionError> {
        let get = |name: &str| {
            vars.iter()
                .find(|(n, _)| *n == name)
                .map(|(_, v)| (*v).to_owned())
        };
        Connections::from_env(&get)
    }

    #[test]
    fn the_base_is_taken_with_or_without_its_slash() {
        for url in [
            "http://127.0.0.1:9/api",
            "http://127.0.0.1:9/api/",
            " http://127.0.0.1:9/api// ",
        ] {
            let connections = of(&[("SLACK_BOT_TOKEN", "xoxb-1"), ("SLACK_API_URL", url)]).unwrap();
            assert_eq!(connections.slack.unwrap().base, "http://127.0.0.1:9/api/");
        }
        assert!(of(&[]).unwrap().names().is_empty());
        assert!(of(&[("SLACK_API_URL", "http://x/")]).unwrap().slack.is_none());
    }

    #[test]
    fn what_is_wrong_is_said_and_no_secret_is_shown() {
        for url in [
            "ftp://x/",
            "slack.com/api",
            "http://u:p@x/api",
            "http://x/api?token=1",
        ] {
            assert!(
                of(&[("SLACK_BOT_TOKEN", "xoxb-1"), ("SLACK_API_URL", url)]).is_err(),
                "{url}"
            );
        }
        let error = of(&[
            ("SLACK_BOT_TOKEN", "xoxb-1\nx"),
            ("SLACK_API_URL", "http://x/api"),
        ])
        .unwrap_err();
        assert!(!error.to_string().contains("xoxb"), "{error}");
        assert!(of(&[("DD_API_KEY", "a")]).is_err() && of(&[("DD_APP_KEY", "a")]).is_err());
        let connections = of(&[
            ("SLACK_BOT_TOKEN", "xoxb-1"),
            ("SLACK_API_URL", "http://x/api"),
            ("DD_API_KEY", "ka-1"),
            ("DD_APP_KEY", "kb-2"),
            ("DD_API_URL", "http://y/"),
        ])
        .unwrap();
        assert_eq!(connections.names(), ["slack", "datadog"]);
        let shown = format!("{connections:?}");
        assert!(
            !shown.contains("xoxb-1") && !shown.contains("ka-1") && !shown.contains("kb-2"),
            "{shown}"
        );
        assert_eq!(connections.secrets().len(), 3);
    }

    #[test]
    fn kubernetes_pagerduty_and_a_model_are_there_when_they_are_whole() {
        let whole = of(&[
            ("KUBERNETES_API_URL", "http://127.0.0.1:9/"),
            ("KUBERNETES_TOKEN", "sa-token-1"),
            ("PAGERDUTY_TOKEN", "pd-token-1"),
            ("LLM_API_KEY", "llm-key-1"),
            ("LLM_PROVIDER", "anthropic"),
            ("LLM_MODEL", "small-1"),
        ])
        .unwrap();
        assert_eq!(whole.names(), ["kubernetes", "pagerduty", "llm"]);
        let secrets: Vec<String> = whole
            .secrets()
            .iter()
            .map(|one| one.expose().to_owned())
            .collect();
        assert_eq!(secrets, ["sa-token-1", "pd-token-1", "llm-key-1"]);
        let shown = format!("{whole:?}");
        assert!(!secrets.iter().any(|secret| shown.contains(secret)), "{shown}");
        for (vars, said) in [
            (
                &[("KUBERNETES_API_URL", "https://10.0.0.1:6443")][..],
                "KUBERNETES_API_URL is set but KUBERNETES_TOKEN (or KUBERNETES_TOKEN_FILE) is not",
            ),
            (
                &[("KUBERNETES_API_URL", "in-cluster")],
                "KUBERNETES_API_URL is set but KUBERNETES_SERVICE_HOST is not",
            ),
            (
                &[
                    ("KUBERNETES_API_URL", "https://h"),
                    ("KUBERNETES_TOKEN", "t"),
                    ("KUBERNETES_CA_FILE", "/absent"),
                ],
                "KUBERNETES_CA_FILE: /absent cannot be read",
            ),
            (
                &[("PAGERDUTY_TOKEN", "t"), ("PAGERDUTY_FROM", "me")],
                "PAGERDUTY_FROM: expected the e-mail address of a PagerDuty user",
            ),
            (
                &[("LLM_API_KEY", "k")],
                "LLM_API_KEY is set but LLM_PROVIDER is not",
            ),
            (
                &[("LLM_API_KEY", "k"), ("LLM_PROVIDER", "acme")],
                "LLM_PROVIDER: expected anthropic or openai",
            ),
        ] {
            let error = of(vars).unwrap_err().to_string();
            assert!(error.starts_with(said), "{error}");
        }
    }
}

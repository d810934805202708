//! Pages of GitHub's API: links to the next, tags, and limits of two kinds.

use std::time::Duration;

use reqwest::{
    StatusCode, Url,
    header::{ACCEPT, AUTHORIZATION, ETAG, IF_NONE_MATCH},
};
use serde_json::Value;
use types::FailureKind;

use super::connection::{GithubConnection, Page};
use crate::{
    ActionContext, ActionError,
    tries::{Failed, retry_after, tries, wait_of},
    vendor::{self, Reply, said},
};

const TRIES: u32 = 4;
/// Pages of one list that are read.
const PAGES: usize = 10;
/// A larger page is not kept for the next time.
const KEPT_BYTES: usize = 256 * 1024;
/// What a limit asks for when it names no time; GitHub says "at least one minute".
const MINUTE: Duration = Duration::from_secs(60);

/// GitHub for one attempt.
#[derive(Clone, Copy)]
pub(crate) struct Github<'a> {
    pub(crate) context: &'a ActionContext,
    pub(crate) connection: &'a GithubConnection,
    /// The permission that the token needs: `contents: read`.
    pub(crate) right: &'static str,
}

/// A list, and whether there is more of it.
#[derive(Debug, Default)]
pub(crate) struct List {
    pub(crate) items: Vec<Value>,
    pub(crate) more: bool,
    pub(crate) degraded: Vec<String>,
}

/// `owner/name`, of which neither half is a step in a path.
pub(crate) fn repository(text: &str) -> Option<(&str, &str)> {
    let (owner, name) = text.split_once('/')?;
    let fits = |part: &str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        !part.is_empty() && part.len() <= 100 && part.chars().all(plain) && part != "." && part != ".."
    };
    (fits(owner) && fits(name)).then_some((owner, name))
}

impl<'a> Github<'a> {
    /// The agent's connection.
    pub(crate) fn of(context: &'a ActionContext, right: &'static str) -> Result<Self, ActionError> {
        let connection = context.connections.github.as_ref().ok_or_else(|| {
            ActionError::new(
                FailureKind::Refused,
                "this agent holds no GitHub connection: set GITHUB_TOKEN for it",
            )
        })?;
        Ok(Self {
            context,
            connection,
            right,
        })
    }

    /// A URL below the API's base.
    pub(crate) fn url(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Url, ActionError> {
        let wrong = || ActionError::internal("GitHub's base is no URL");
        let mut url = Url::parse(&self.connection.base).map_err(|_| wrong())?;
        url.path_segments_mut()
            .map_err(|()| wrong())?
            .pop_if_empty()
            .extend(path);
        url.query_pairs_mut().extend_pairs(query);
        Ok(url)
    }

    /// The items of a list, newest first, as long as `wanted` takes them and there are less than `limit`.
    pub(crate) async fn list(
        &self,
        what: &str,
        first: Url,
        limit: usize,
        wanted: impl Fn(&Value) -> bool,
    ) -> Result<List, ActionError> {
        let mut list = List::default();
        let mut url = first;
        for page in 0..PAGES {
            let got = match self.page(what, &url).await {
                Ok(got) => got,
                // What is there already is told, and that it is not all.
                Err(error) if page > 0 => {
                    list.more = true;
                    list.degraded
                        .push(format!("only the first {} were read: {error}", list.items.len()));
                    return Ok(list);
                }
                Err(error) => return Err(error),
            };
            let items = got
                .body
                .as_array()
                .ok_or_else(|| ActionError::action(format!("GitHub: {what}: the answer is no list")))?;
            for item in items {
                if !wanted(item) {
                    return Ok(list);
                }
                if list.items.len() == limit {
                    list.more = true;
                    return Ok(list);
                }
                list.items.push(item.clone());
            }
            let Some(next) = got.next else {
                return Ok(list);
            };
            url = self.next(&next)?;
        }
        list.more = true;
        list.degraded.push(format!(
            "only the first {} were read: there are more than {PAGES} pages",
            list.items.len()
        ));
        Ok(list)
    }

    /// The token goes to the API and to nobody that a link names.
    fn next(&self, link: &str) -> Result<Url, ActionError> {
        let url = Url::parse(link).ok();
        let ours = Url::parse(&self.connection.base).ok();
        match (url, ours) {
            (Some(url), Some(ours)) if url.origin() == ours.origin() => Ok(url),
            _ => Err(ActionError::action(
                "GitHub's link to the next page leads to another place: does GITHUB_API_URL name the API itself?",
            )),
        }
    }

    async fn page(&self, what: &str, url: &Url) -> Result<Page, ActionError> {
        let name = format!("github {what}");
        let word = |page: &Page| format!("{} items", page.body.as_array().map_or(0, Vec::len));
        let once = || async {
            let kept = self.connection.kept(url.as_str());
            let mut request = self
                .connection
                .http
                .get(url.clone())
                .header(AUTHORIZATION, self.connection.token.clone())
                .header(ACCEPT, "application/vnd.github+json")
                .header("x-github-api-version", "2022-11-28");
            if let Some(kept) = &kept {
                request = request.header(IF_NONE_MATCH, &kept.etag);
            }
            let reply = vendor::fetch("GitHub", request).await?;
            match kept {
                Some(kept) if reply.status == StatusCode::NOT_MODIFIED => Ok(kept),
                _ => self.judged(what, url, &reply),
            }
        };
        tries(self.context, &name, TRIES, word, once).await
    }

    fn judged(&self, what: &str, url: &Url, reply: &Reply) -> Result<Page, Failed> {
        let status = reply.status.as_u16();
        let message = reply
            .value()
            .and_then(|body| body.get("message")?.as_str().map(str::to_owned));
        let message = message.unwrap_or_default();
        let told = said(&message);
        let fails = |why: String| Err(Failed::Final(ActionError::action(why)));
        if let Some(limited) = self.limited(reply, &message) {
            return Err(limited);
        }
        if let Some(trouble) = reply.trouble(self.context, &told) {
            return Err(trouble);
        }
        match reply.status {
            StatusCode::UNAUTHORIZED => fails(format!(
                "GitHub refused the token{told}: check GITHUB_TOKEN on the agent"
            )),
            StatusCode::FORBIDDEN => fails(format!(
                "GitHub: {what}: HTTP 403{told}: the token needs `{}` for this repository, or single sign-on",
                self.right
            )),
            // GitHub does not say which of the two it is, so that nobody learns what exists.
            StatusCode::NOT_FOUND => fails(format!(
                "GitHub: {what}: HTTP 404{told}: there is no such repository, or the token has no right to it (`{}`)",
                self.right
            )),
            StatusCode::CONFLICT => fails(format!(
                "GitHub: {what}: HTTP 409{told}: the repository is empty?"
            )),
            code if !code.is_success() => fails(format!("GitHub: {what}: HTTP {status}{told}")),
            _ => {
                let page = Page {
                    etag: reply.header(ETAG.as_str()).unwrap_or_default().to_owned(),
                    body: reply.json()?,
                    next: reply.header("link").and_then(next_of),
                };
                if !page.etag.is_empty() && reply.body.len() <= KEPT_BYTES {
                    self.connection.keep(url.as_str(), &page);
                }
                Ok(page)
            }
        }
    }

    /// The hourly limit (`x-ratelimit-remaining: 0`), and the secondary ones (`retry-after`, or only words).
    /// <https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api>
    fn limited(&self, reply: &Reply, message: &str) -> Option<Failed> {
        if !matches!(
            reply.status,
            StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS
        ) {
            return None;
        }
        let after = reply
            .header("retry-after")
            .and_then(|text| retry_after(self.context, text));
        let used_up = reply.header("x-ratelimit-remaining").map(str::trim) == Some("0");
        let (which, wait) = match (after, used_up) {
            (Some(wait), _) => ("for a while (secondary limit)", wait),
            (None, true) => ("for this hour", self.until_reset(reply).unwrap_or(MINUTE)),
            (None, false) if message.to_ascii_lowercase().contains("rate limit") => {
                ("for a while (secondary limit)", MINUTE)
            }
            (None, false) if reply.status == StatusCode::TOO_MANY_REQUESTS => ("for a while", MINUTE),
            (None, false) => return None,
        };
        let text = format!("GitHub limits us {which}: {} s", wait.as_secs());
        let mut error = ActionError::new(FailureKind::RateLimited, text);
        error.retry_after_ms = u64::try_from(wait.as_millis()).ok();
        Some(Failed::Passing(error, Some(wait)))
    }

    /// `x-ratelimit-reset`: Unix seconds.
    fn until_reset(&self, reply: &Reply) -> Option<Duration> {
        let at: i64 = reply.header("x-ratelimit-reset")?.trim().parse().ok()?;
        let left = at - self.context.clock.now().unix_ms() / 1_000;
        Some(wait_of(u64::try_from(left).unwrap_or_default()))
    }
}

/// `<https://…>; rel="next"` of a `Link` header.
fn next_of(header: &str) -> Option<String> {
    header.split(',').find_map(|link| {
        let (url, rest) = link.trim().strip_prefix('<')?.split_once('>')?;
        let is_next = rest
            .split(';')
            .any(|part| matches!(part.trim(), "rel=\"next\"" | "rel=next"));
        is_next.then(|| url.to_owned())
    })
}

/// RFC 3339 in UTC, in whole seconds: what `since` takes.
pub(crate) fn stamp(ms: i64) -> String {
    jiff::Timestamp::from_second(ms.div_euclid(1_000))
        .map(|at| at.to_string())
        .unwrap_or_default()
}

/// A text of GitHub's that is a time, in Unix milliseconds.
pub(crate) fn moment(item: &Value, path: &str) -> Option<i64> {
    let at: jiff::Timestamp = item.pointer(path)?.as_str()?.parse().ok()?;
    Some(at.as_millisecond())
}

/// Within a page's text: https links only.
pub(crate) fn link(item: &Value, path: &str) -> Option<String> {
    let url = Url::parse(item.pointer(path)?.as_str()?).ok()?;
    matches!(url.scheme(), "http" | "https").then(|| url.into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_repository_is_two_names() {
        assert_eq!(repository("acme/shop.api"), Some(("acme", "shop.api")));
        for text in [
            "", "acme", "acme/", "/x", "a/b/c", "../x", "a/..", "a b/c", "a/b?c", "a/b#c", "a/%2e%2e",
        ] {
            assert_eq!(repository(text), None, "{text}");
        }
    }

    #[test]
    fn the_next_page_is_found_among_the_links() {
        let header = r#"<https://x/?page=1>; rel="prev", <https://x/?page=3>; rel="next", <https://x/?page=9>; rel="last""#;
        assert_eq!(next_of(header).as_deref(), Some("https://x/?page=3"));
        assert_eq!(next_of(r#"<https://x/?page=1>; rel="prev""#), None);
        assert_eq!(next_of("garbage"), None);
        assert_eq!(stamp(1_763_923_500_123), "2025-11-23T18:45:00Z");
    }
}

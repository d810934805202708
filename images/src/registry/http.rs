//! The client for one registry, and where it lets itself be led: registries keep layers at other places, and name another
//! one for tokens. A metadata service is none of them.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use node::egress::reach::{Denied, Inside, Reach};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::{Attempt, Policy};
use reqwest::{Client, Url};

use crate::reference::is_loopback;

const CONNECT: Duration = Duration::from_secs(10);
/// The longest silence in the middle of an answer.
const SILENCE: Duration = Duration::from_secs(30);
/// Redirects that are followed.
const REDIRECTS: usize = 5;

/// For the registry of this host name; `near`: it is this very host.
pub(super) fn client(registry: &str, near: bool) -> reqwest::Result<Client> {
    // The first one to come installs the provider; the others find it there.
    let _already = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .user_agent(concat!("firehall/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT)
        .read_timeout(SILENCE)
        .referer(false)
        // What is hashed is what is sent.
        .no_gzip()
        .redirect(Policy::custom(move |attempt| {
            match leads(attempt.previous(), attempt.url(), near) {
                Ok(()) => attempt.follow(),
                Err(why) => Attempt::error(attempt, why),
            }
        }))
        .dns_resolver(Arc::new(Names {
            here: proxies().chain([registry.to_owned()]).collect(),
            near,
        }))
        .build()
}

fn leads(before: &[Url], to: &Url, near: bool) -> Result<(), String> {
    if before.len() > REDIRECTS {
        return Err(format!("it redirects more than {REDIRECTS} times"));
    }
    let secure = before.last().is_some_and(|from| from.scheme() == "https");
    place(to, secure, near).map_err(|why| format!("its redirect is not followed: {why}"))
}

/// Whether a registry may name this place: `secure`, when it was reached by TLS itself; `near`, when it is this very host.
pub(super) fn place(to: &Url, secure: bool, near: bool) -> Result<(), String> {
    let host = to.host_str().unwrap_or_default();
    match to.scheme() {
        "https" => {}
        "http" if !secure => {}
        other => return Err(format!("{other}://{host} is not https")),
    }
    if is_loopback(host) {
        return if near {
            Ok(())
        } else {
            Err(format!("{host} is this agent's own host"))
        };
    }
    match host.trim_matches(['[', ']']).parse::<IpAddr>() {
        Ok(address) => public(address).map_err(|denied| denied.to_string()),
        Err(_) => Ok(()),
    }
}

/// Registries, and what they lead to, may be in a network of one's own.
fn public(address: IpAddr) -> Result<(), Denied> {
    match Reach::default().check(address) {
        Err(denied) if !matches!(denied.inside, Inside::Private | Inside::Shared) => Err(denied),
        _ => Ok(()),
    }
}

/// The system's resolver, without the addresses of this host and of its neighbourhood, that give credentials away among
/// them.
struct Names {
    /// Names that may be this host: the registry's own and those of proxies.
    here: Vec<String>,
    near: bool,
}

impl Names {
    fn may(&self, name: &str, address: IpAddr) -> Result<(), Denied> {
        match Reach::default().check(address) {
            Err(denied) if denied.inside == Inside::Loopback => {
                let known = self.near || self.here.iter().any(|one| one.eq_ignore_ascii_case(name));
                if known { Ok(()) } else { Err(denied) }
            }
            _ => public(address),
        }
    }
}

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        let (here, near) = (self.here.clone(), self.near);
        Box::pin(async move {
            let names = Self { here, near };
            let mut denied: Option<Denied> = None;
            let mut within: Vec<SocketAddr> = Vec::new();
            // The port is the URL's; it is put in place of 0.
            for address in tokio::net::lookup_host((name.as_str(), 0)).await? {
                match names.may(name.as_str(), address.ip()) {
                    Ok(()) => within.push(address),
                    Err(error) => {
                        denied.get_or_insert(error);
                    }
                }
            }
            match denied {
                Some(denied) if within.is_empty() => Err(denied.into()),
                _ => Ok(Box::new(within.into_iter()) as Addrs),
            }
        })
    }
}

/// The hosts of the proxies that the client takes from its environment.
fn proxies() -> impl Iterator<Item = String> {
    const NAMES: [&str; 6] = [
        "http_proxy",
        "HTTP_PROXY",
        "https_proxy",
        "HTTPS_PROXY",
        "all_proxy",
        "ALL_PROXY",
    ];
    let said = NAMES.into_iter().filter_map(|name| std::env::var(name).ok());
    said.filter_map(|text| {
        // A scheme may be left out.
        let url = Url::parse(&text).ok().filter(Url::has_host);
        let url = url.or_else(|| Url::parse(&format!("http://{text}")).ok())?;
        Some(url.host_str()?.to_owned())
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn goes(to: &str, secure: bool, near: bool) -> bool {
        place(&to.parse().unwrap(), secure, near).is_ok()
    }

    #[test]
    fn a_registry_leads_to_no_metadata_no_plain_text_and_not_to_this_host() {
        for to in [
            "https://cdn.example/x",
            "https://10.1.2.3:8443/token",
            "https://[fd12::1]/",
        ] {
            assert!(goes(to, true, false), "{to}");
        }
        for to in [
            "http://cdn.example/x",
            "https://169.254.169.254/latest",
            "https://[fd00:ec2::254]/",
            "https://[::ffff:169.254.169.254]/",
            "https://127.0.0.1:2375/",
            "https://localhost/",
            "https://2130706433/",
            "ftp://cdn.example/",
        ] {
            assert!(!goes(to, true, false), "{to}");
        }
        assert!(
            goes("http://10.1.2.3/", false, false),
            "one that is reached without TLS by choice"
        );
        assert!(goes("http://127.0.0.1:5001/token", false, true));
        assert!(!goes("http://169.254.169.254/", false, true));
        assert!(!goes("https://localhost./", true, false));
        let before = vec!["https://r.example/".parse().unwrap(); REDIRECTS + 1];
        let to = "https://r.example/on".parse().unwrap();
        assert!(leads(&before[1..], &to, false).is_ok() && leads(&before, &to, false).is_err());
    }

    #[tokio::test]
    async fn a_name_that_leads_to_this_host_is_refused_unless_it_is_the_registrys() {
        let resolve = |here: &str, near| {
            let here = vec![here.to_owned()];
            let name: Name = "localhost".parse().unwrap();
            Names { here, near }.resolve(name)
        };
        assert!(resolve("r.example", false).await.is_err());
        assert!(resolve("LOCALHOST", false).await.is_ok());
        assert!(resolve("r.example", true).await.is_ok());
        let names = Names {
            here: vec!["r.example".to_owned()],
            near: true,
        };
        for never in ["169.254.169.254", "0.0.0.0", "224.0.0.1", "fe80::1"] {
            let address = never.parse().unwrap();
            assert!(names.may("r.example", address).is_err(), "{never}");
        }
        assert!(names.may("r.example", "10.1.2.3".parse().unwrap()).is_ok());
    }
}

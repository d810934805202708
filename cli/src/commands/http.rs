//! `--http NAME=URL`: places that `http/request` may name, and their secrets.

use std::{collections::BTreeMap, str::FromStr};

use ::actions::{Http, HttpAuth, HttpConnection};
use ::agent::Grant;
use clap::Args;
use types::Secret;

use crate::exit::Fault;

#[derive(Debug, Args)]
pub(crate) struct HttpArgs {
    /// A place that `http/request` may name as its `connection`. Its secret is in HTTP_NAME_BEARER, HTTP_NAME_BASIC
    /// (USER:PASSWORD) or HTTP_NAME_HEADER (NAME: VALUE). Repeatable
    #[arg(
        long = "http",
        env = "FIREHALL_HTTP",
        value_delimiter = ',',
        value_name = "NAME=URL"
    )]
    places: Vec<Place>,
}

#[derive(Debug, Clone)]
struct Place {
    name: String,
    url: String,
}

impl FromStr for Place {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let (name, url) = text
            .split_once('=')
            .ok_or("expected NAME=URL, such as jira=https://jira.example.com")?;
        Ok(Self {
            name: name.trim().to_owned(),
            url: url.trim().to_owned(),
        })
    }
}

type Kind = fn(Secret) -> HttpAuth;

/// The variables that may hold a place's secret; one of them is set, or none.
fn variables(name: &str) -> [(String, Kind); 3] {
    let name = name.to_ascii_uppercase().replace('-', "_");
    [
        (format!("HTTP_{name}_BEARER"), HttpAuth::Bearer),
        (format!("HTTP_{name}_BASIC"), HttpAuth::Basic),
        (format!("HTTP_{name}_HEADER"), HttpAuth::Header),
    ]
}

impl HttpArgs {
    /// What is to be taken out of the environment.
    pub(crate) fn variables(&self) -> Vec<String> {
        let all = self.places.iter().flat_map(|place| variables(&place.name));
        all.map(|(name, _)| name).collect()
    }

    /// Where `http/request` may go.
    pub(crate) fn http<'a>(
        &self,
        secrets: &BTreeMap<String, Secret>,
        allow: impl IntoIterator<Item = &'a Grant>,
    ) -> Result<Http, Fault> {
        let mut named = BTreeMap::new();
        for place in &self.places {
            let connection = place.connection(secrets)?;
            if named.insert(place.name.clone(), connection).is_some() {
                return Err(Fault::usage(format!(
                    "--http {}: that name is given twice",
                    place.name
                )));
            }
        }
        let nets = allow.into_iter().filter_map(|grant| match grant {
            Grant::Net(net) => Some(*net),
            Grant::HostView(_) | Grant::HostNetwork => None,
        });
        Ok(Http::new(nets, named))
    }
}

impl Place {
    fn connection(&self, secrets: &BTreeMap<String, Secret>) -> Result<HttpConnection, Fault> {
        let set: Vec<(String, HttpAuth)> = variables(&self.name)
            .into_iter()
            .filter_map(|(variable, kind)| {
                let secret = secrets.get(&variable)?.expose().trim().to_owned();
                (!secret.is_empty()).then(|| (variable, kind(Secret::new(secret))))
            })
            .collect();
        if let [(first, _), (second, _), ..] = set.as_slice() {
            return Err(Fault::usage(format!(
                "--http {}: {first} and {second} are both set",
                self.name
            )));
        }
        let auth = set.into_iter().next().map(|(_, auth)| auth);
        HttpConnection::new(&self.name, &self.url, auth).map_err(|error| Fault::usage(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn of(places: &[&str], secrets: &[(&str, &str)]) -> Result<Http, Fault> {
        let places = places.iter().map(|text| text.parse().unwrap()).collect();
        let secrets = secrets
            .iter()
            .map(|(name, value)| ((*name).to_owned(), Secret::new((*value).to_owned())))
            .collect();
        HttpArgs { places }.http(&secrets, &[])
    }

    #[test]
    fn a_place_has_one_name_one_url_and_at_most_one_secret() {
        assert!(
            of(
                &["my-jira=https://jira.example/base/"],
                &[("HTTP_MY_JIRA_BEARER", "t")]
            )
            .is_ok()
        );
        for (places, secrets) in [
            (&["Jira=https://x"][..], &[][..]),
            (&["=https://x"], &[]),
            (&["jira=file:///etc"], &[]),
            (&["jira=https://me:pw@x/"], &[]),
            (&["jira=https://x?token=1"], &[]),
            (&["jira=https://x", "jira=https://y"], &[]),
            (
                &["jira=https://x"],
                &[("HTTP_JIRA_BEARER", "a"), ("HTTP_JIRA_BASIC", "a:b")],
            ),
            (&["jira=https://x"], &[("HTTP_JIRA_BASIC", "no-colon")]),
            (&["jira=https://x"], &[("HTTP_JIRA_BEARER", "two\nlines")]),
        ] {
            let said = format!("{:?}", of(places, secrets).unwrap_err());
            assert!(
                said.contains("--http") && !said.contains("no-colon") && !said.contains("pw@"),
                "{said}"
            );
        }
        assert!("jira".parse::<Place>().is_err());
    }
}

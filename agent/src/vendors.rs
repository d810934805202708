//! What built-in actions reach vendors with: connections from the environment, and from secrets that are asked for anew, so
//! that a token that was rotated is taken without a restart.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use actions::{Connections, Http, Registry};
use types::Secret;

use crate::secrets::Secrets;

/// Where the connections come from.
pub struct Vendors {
    /// Variables that were taken out of the environment.
    taken: BTreeMap<String, Secret>,
    /// Variables whose values are secrets of the agent's file.
    sourced: Vec<String>,
    /// As of the last values.
    now: Mutex<(BTreeMap<String, Secret>, Connections)>,
    names: Vec<String>,
    /// Where `http/request` may go; it stays as it was given.
    http: Http,
}

impl Vendors {
    /// Connections that do not change.
    #[must_use]
    pub fn fixed(connections: Connections) -> Self {
        Self {
            taken: BTreeMap::new(),
            sourced: Vec::new(),
            names: connections.names(),
            http: connections.http.clone(),
            now: Mutex::new((BTreeMap::new(), connections)),
        }
    }

    /// From variables that were taken out of the environment, the environment, and secrets of the agent's file that have a
    /// variable's name, which win.
    ///
    /// # Errors
    /// What is there makes no connection.
    pub fn new(
        taken: BTreeMap<String, Secret>,
        sourced: Vec<String>,
        http: Http,
    ) -> Result<Self, actions::ConnectionError> {
        let vendors = Self {
            taken,
            sourced,
            now: Mutex::new((BTreeMap::new(), Connections::default())),
            names: Vec::new(),
            http,
        };
        // Which there are is known before any value is.
        let stands_for: BTreeMap<String, Secret> = vendors
            .sourced
            .iter()
            .map(|name| (name.clone(), Secret::new("not-asked-for-yet".to_owned())))
            .collect();
        let names = vendors.connect(&stands_for, &[])?.names();
        let begun = vendors.connect(&BTreeMap::new(), &vendors.sourced)?;
        Ok(Self {
            names,
            now: Mutex::new((BTreeMap::new(), begun)),
            ..vendors
        })
    }

    /// Names of the connections that there are or can be.
    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// The connections as they are held, for an action that needs no secret of a vendor.
    pub(crate) fn held(&self) -> Connections {
        self.now.lock().unwrap_or_else(PoisonError::into_inner).1.clone()
    }

    /// Values that are in use.
    pub(crate) fn secrets(&self) -> Vec<Secret> {
        self.held().secrets()
    }

    /// The connections with the secrets of now. Where one is not to be had, its vendor's connection is missing; the second
    /// part says why.
    pub(crate) async fn now(&self, secrets: &Secrets) -> (Connections, Vec<String>) {
        let (mut values, mut missing, mut why) = (BTreeMap::new(), Vec::new(), Vec::new());
        for name in &self.sourced {
            match secrets.get(name).await {
                Ok(secret) => drop(values.insert(name.clone(), secret)),
                Err(error) => {
                    missing.push(name.clone());
                    why.push(error.to_string());
                }
            }
        }
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        if now.0 != values {
            match self.connect(&values, &missing) {
                Ok(connections) => *now = (values, connections),
                Err(error) => why.push(error.to_string()),
            }
        }
        (now.1.clone(), why)
    }

    fn connect(
        &self,
        values: &BTreeMap<String, Secret>,
        missing: &[String],
    ) -> Result<Connections, actions::ConnectionError> {
        // One vendor's variables begin alike: without one of its secrets it is left out whole.
        let vendor = |name: &str| name.split('_').next().unwrap_or_default().to_owned();
        let get = |name: &str| {
            if missing.iter().any(|one| vendor(one) == vendor(name)) {
                return None;
            }
            let secret = values.get(name).or_else(|| self.taken.get(name));
            match secret {
                Some(secret) => Some(secret.expose().to_owned()),
                None => std::env::var(name).ok(),
            }
        };
        let mut connections = Registry::connections_from_env(&get)?;
        connections.http = self.http.clone();
        Ok(connections)
    }
}

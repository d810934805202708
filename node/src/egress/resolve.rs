//! Names into addresses, of which only those within reach are handed on. What is handed on is what is connected to:
//! nothing asks for the name a second time.

use std::{net::SocketAddr, sync::Arc};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::reach::{Denied, Reach};

/// Addresses of one name that are looked at.
const ADDRESSES: usize = 64;

/// The system's resolver.
pub(super) struct System;

impl Resolve for System {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            // The port is the URL's; it is put in place of 0.
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

/// A resolver that hides what is out of reach.
pub(super) struct Checked {
    pub(super) names: Arc<dyn Resolve>,
    pub(super) reach: Reach,
}

impl Resolve for Checked {
    fn resolve(&self, name: Name) -> Resolving {
        let found = self.names.resolve(name);
        let reach = self.reach.clone();
        Box::pin(async move {
            let mut denied: Option<Denied> = None;
            let mut within = Vec::new();
            for address in found.await?.take(ADDRESSES) {
                match reach.check(address.ip()) {
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

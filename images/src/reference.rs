//! Names of images, as everybody writes them: `alpine:3.22` is `docker.io/library/alpine:3.22`.

use std::net::IpAddr;

pub(crate) use oci_client::Reference;

use crate::{Digest, ImageError};

/// Reads a name and completes it.
pub(crate) fn parse(text: &str) -> Result<Reference, ImageError> {
    let wrong = |why: String| ImageError::Reference {
        reference: text.chars().take(300).collect(),
        why,
    };
    let reference: Reference = text
        .parse()
        .map_err(|error: oci_client::ParseError| wrong(error.to_string()))?;
    if let Some(digest) = reference.digest() {
        digest
            .parse::<Digest>()
            .map_err(|error| wrong(error.to_string()))?;
    }
    Ok(reference)
}

/// The digest that a name pins.
pub(crate) fn pinned(reference: &Reference) -> Option<Digest> {
    reference.digest().and_then(|digest| digest.parse().ok())
}

/// Whether a registry is this very host: there, plain HTTP is as good as TLS.
pub(crate) fn is_loopback(registry: &str) -> bool {
    let host = match registry.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => registry,
    };
    let host = host.trim_start_matches('[').trim_end_matches([']', '.']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn names_are_completed_as_everybody_completes_them() {
        let whole = |text: &str| parse(text).unwrap().whole();
        assert_eq!(whole("alpine"), "docker.io/library/alpine:latest");
        assert_eq!(whole("127.0.0.1:5000/team/tool:1"), "127.0.0.1:5000/team/tool:1");
        for wrong in ["", "UPPER", "a b", "tool@sha512:00", "tool@sha256:12"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn only_this_host_is_loopback() {
        for near in ["localhost:5000", "127.0.0.1", "127.9.9.9:1", "[::1]:5000"] {
            assert!(is_loopback(near), "{near}");
        }
        for far in [
            "localhost.example.com",
            "127.0.0.1.nip.io:80",
            "10.0.0.1:5000",
            "docker.io",
            "::1:x",
        ] {
            assert!(!is_loopback(far), "{far}");
        }
    }
}

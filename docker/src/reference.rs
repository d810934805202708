//! Names of images, as registries and the daemon know them.

/// The registry of names without one.
const HUB: &str = "docker.io";

/// An image's name in its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reference {
    /// `docker.io`, `127.0.0.1:5000`.
    pub registry: String,
    /// With its registry where one was written: what the daemon is asked for.
    pub name: String,
    /// The tag or the digest (`sha256:…`).
    pub version: String,
}

impl Reference {
    /// `alpine`, `alpine:3.22`, `registry:5000/team/tool@sha256:…`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| Err(format!("{text:?} is no image's name: {why}"));
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-/:@".contains(c);
        if text.is_empty() || text.len() > 512 || !text.chars().all(plain) {
            return wrong("letters, digits and ._-/:@ make one, at most 512");
        }
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (text, None),
        };
        // A colon behind the last slash begins a tag; before it, a port.
        let slash = rest.rfind('/').map_or(0, |at| at + 1);
        let (name, tag) = match rest[slash..].find(':') {
            Some(at) => (&rest[..slash + at], Some(&rest[slash + at + 1..])),
            None => (rest, None),
        };
        if name.is_empty() || name.starts_with('/') || name.ends_with('/') || tag == Some("") {
            return wrong("a part of it is empty");
        }
        if digest.is_some_and(|digest| !digest.starts_with("sha256:")) {
            return wrong("its digest does not begin with sha256:");
        }
        let registry = match name.split_once('/') {
            Some((first, _)) if first.contains(['.', ':']) || first == "localhost" => first,
            _ => HUB,
        };
        Ok(Self {
            registry: registry.to_owned(),
            name: name.to_owned(),
            version: digest.or(tag).unwrap_or("latest").to_owned(),
        })
    }

    /// As the daemon is asked for it.
    pub(crate) fn whole(&self) -> String {
        let between = if self.version.starts_with("sha256:") {
            '@'
        } else {
            ':'
        };
        format!("{}{between}{}", self.name, self.version)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn names_are_read_as_docker_reads_them() {
        for (text, registry, whole) in [
            ("alpine", "docker.io", "alpine:latest"),
            ("team/tool:1", "docker.io", "team/tool:1"),
            ("localhost/tool", "localhost", "localhost/tool:latest"),
            ("127.0.0.1:5000/tool:1", "127.0.0.1:5000", "127.0.0.1:5000/tool:1"),
            ("r.example/t:1@sha256:ab", "r.example", "r.example/t@sha256:ab"),
        ] {
            let read = Reference::parse(text).unwrap();
            assert_eq!((read.registry.as_str(), read.whole().as_str()), (registry, whole));
        }
        for text in ["", "a b", "/a", "a:", "a@md5:1", "a\nb", "ü"] {
            assert!(Reference::parse(text).is_err(), "{text:?}");
        }
    }
}

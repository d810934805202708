//! An image's name, as an operator means it: `alpine` is `docker.io/library/alpine:latest`, whoever writes it how.

use super::Pattern;

/// The image that is the agent's own system.
pub const HOST_IMAGE: &str = "host";
/// The longest name of an image, in bytes.
pub const IMAGE_BYTES: usize = 512;

/// An image's name in its parts, the way registries read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageName {
    /// `docker.io`, `registry.example.com:5000`; in small letters.
    pub registry: String,
    /// `library/alpine`.
    pub repository: String,
    /// `latest` when neither tag nor digest is given; none beside a digest alone.
    pub tag: Option<String>,
    /// `sha256:` and 64 hexadecimal digits.
    pub digest: Option<String>,
}

impl ImageName {
    /// Reads one; none when it is no image's name: wrong characters (anything that is not ASCII among them), an empty
    /// part, `..`, a digest that is none, or more than [`IMAGE_BYTES`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.is_empty() || text.len() > IMAGE_BYTES {
            return None;
        }
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (text, None),
        };
        if let Some(digest) = digest {
            let hex = digest.strip_prefix("sha256:")?;
            let plain = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
            if hex.len() != 64 || !hex.bytes().all(plain) {
                return None;
            }
        }
        let (name, tag) = split_tag(rest);
        let (registry, repository) = split_registry(name);
        let word = |part: &str| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
                && !part.starts_with('.')
        };
        let host = registry
            .split_once(':')
            .map_or(registry.as_str(), |(host, _)| host);
        let port = registry.split_once(':').map(|(_, port)| port);
        let fits = word(host)
            && port.is_none_or(|port| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()))
            && repository.split('/').all(word)
            // Where a registry begins depends on them, for some readers.
            && !repository.bytes().any(|b| b.is_ascii_uppercase())
            && tag.is_none_or(word);
        fits.then(|| Self {
            registry,
            repository,
            tag: match (tag, digest) {
                (None, None) => Some("latest".to_owned()),
                (tag, _) => tag.map(str::to_owned),
            },
            digest: digest.map(str::to_owned),
        })
    }

    /// Registry and repository: `docker.io/library/alpine`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }

    /// All of it: `docker.io/library/alpine:3.22@sha256:…`.
    #[must_use]
    pub fn full(&self) -> String {
        let tag = self.tag.iter().map(|tag| format!(":{tag}"));
        let digest = self.digest.iter().map(|digest| format!("@{digest}"));
        std::iter::once(self.name()).chain(tag).chain(digest).collect()
    }
}

/// Whether a pattern stands for an image. It is completed as an image's name is, and one without a tag and a digest
/// stands for all of them; one with a tag alone stands for no digest. `*` alone is any image, the host's included.
pub(super) fn allows(pattern: &Pattern, image: &str, parsed: Option<&ImageName>) -> bool {
    let text = pattern.as_str();
    if text == "*" {
        return image == HOST_IMAGE || parsed.is_some();
    }
    if image == HOST_IMAGE || text == HOST_IMAGE {
        return image == text;
    }
    let Some(parsed) = parsed else { return false };
    let (rest, digest) = match text.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest)),
        None => (text, None),
    };
    let (name, tag) = split_tag(rest);
    let (registry, repository) = split_registry(name);
    let whole = format!("{registry}/{repository}");
    let fits = |pattern: &str, text: &str| Pattern::new(pattern).matches(text);
    if tag.is_none() && digest.is_none() {
        return fits(&whole, &parsed.name());
    }
    fits(&whole, &parsed.name())
        && tag.is_none_or(|tag| parsed.tag.as_deref().is_some_and(|found| fits(tag, found)))
        // Beside a digest a tag says nothing of what is run.
        && match digest {
            None => parsed.digest.is_none(),
            Some(digest) => parsed.digest.as_deref().is_some_and(|found| fits(digest, found)),
        }
}

/// The tag is behind the last `:` that has no `/` behind it.
fn split_tag(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (text, None),
    }
}

/// What stands before the first `/` is a registry when it looks like a host; else the image is Docker Hub's.
fn split_registry(name: &str) -> (String, String) {
    let hub = "docker.io";
    match name.split_once('/') {
        Some((first, rest)) if first == "*" || first == "localhost" || first.contains(['.', ':']) => {
            let registry = first.to_ascii_lowercase();
            if registry == hub || registry == "index.docker.io" {
                (hub.to_owned(), in_library(rest))
            } else {
                (registry, rest.to_owned())
            }
        }
        _ => (hub.to_owned(), in_library(name)),
    }
}

fn in_library(repository: &str) -> String {
    if repository.contains('/') {
        repository.to_owned()
    } else {
        format!("library/{repository}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(pattern: &str, image: &str) -> bool {
        allows(&Pattern::new(pattern), image, ImageName::parse(image).as_ref())
    }

    #[test]
    fn names_are_completed_on_both_sides() {
        let digest = format!("sha256:{}", "a".repeat(64));
        for (pattern, image) in [
            ("*", "host"),
            ("*", "alpine"),
            ("host", "host"),
            ("alpine", "alpine:3.22"),
            ("alpine", "docker.io/library/alpine"),
            ("docker.io/library/*", "index.docker.io/alpine:3"),
            ("alpine:3.*", "alpine:3.22"),
            ("alpine:latest", "alpine"),
            (
                "registry.example.com/team/*",
                "registry.example.com/team/app/api:1",
            ),
            ("registry.example.com/team/*", "REGISTRY.example.com/team/app"),
            ("localhost:5000/app", "localhost:5000/app:1"),
            ("*/team/app", "registry.example.com/team/app"),
        ] {
            assert!(allowed(pattern, image), "{pattern} {image}");
        }
        assert!(allowed("alpine@*", &format!("alpine@{digest}")));
        assert!(allowed("alpine:3@sha256:*", &format!("alpine:3@{digest}")));
        for (pattern, image) in [
            // A host whose name begins like the image that is meant.
            ("alpine*", "alpine.evil.example/x"),
            ("alpine", "alpine.evil.example/alpine"),
            (
                "registry.example.com/team/*",
                "registry.example.com.evil.example/team/x",
            ),
            ("registry.example.com/team/*", "registry.example.com/teams/x"),
            ("alpine:3", "alpine:3.22"),
            ("alpine@*", "alpine"),
            ("host", "host:1"),
            ("hos*", "host"),
            ("library/host", "host"),
        ] {
            assert!(!allowed(pattern, image), "{pattern} {image}");
        }
        // A tag beside a digest says nothing of what is run.
        assert!(!allowed("alpine:3", &format!("alpine:3@{digest}")));
        assert!(allowed("alpine", &format!("alpine:3@{digest}")));
    }

    #[test]
    fn what_is_no_image_is_not_read() {
        for text in [
            "",
            "al pine",
            "../../etc/passwd",
            "EVIL/x",
            "a/../b",
            "a//b",
            "/a",
            "alpine@sha256:12",
            "alpine@md5:1",
            "\u{430}lpine",
            "a:b:c",
            "a\n",
            "reg.example.com:x/a",
        ] {
            assert_eq!(ImageName::parse(text), None, "{text:?}");
        }
        assert_eq!(ImageName::parse(&"a".repeat(IMAGE_BYTES + 1)), None);
        let full = ImageName::parse("alpine").map(|image| image.full());
        assert_eq!(full.as_deref(), Some("docker.io/library/alpine:latest"));
    }
}

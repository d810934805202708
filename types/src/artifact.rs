//! What a container step leaves as files for people and for later steps.

use serde::{Deserialize, Serialize};

use crate::{files::check_plain_path, is_within, limits, text::clip};

/// Where a step writes what it keeps: its own memory file system.
pub const ARTIFACT_TREE: &str = "/tmp";
/// The media type of a directory, which is kept as a tar archive.
pub const TAR: &str = "application/x-tar";
/// The media type of a file when nothing is said.
pub const OCTETS: &str = "application/octet-stream";

/// A declared artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArtifactDecl {
    /// Where it lies when the step has ended; see [`check_artifact_path`].
    pub path: String,
    /// What it is, for whoever gets it; [`OCTETS`] or [`TAR`] when nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// Whether it may be missing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
}

/// An artifact that the server holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    /// Its name in the step.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// Of its bytes, 64 hexadecimal digits.
    pub sha256: String,
    /// What it is.
    pub media_type: String,
}

/// An earlier step's artifact as a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArtifactRef {
    /// Whose.
    pub step: String,
    /// Its name there.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// Of its bytes, 64 hexadecimal digits.
    pub sha256: String,
}

impl Artifact {
    /// Whether it is one: an agent says so.
    #[must_use]
    pub fn is_well_formed(&self) -> bool {
        is_artifact_name(&self.name) && is_sha256(&self.sha256) && is_media_type(&self.media_type)
    }
}

/// `[a-z][a-z0-9_-]*`, at most 63 characters.
#[must_use]
pub fn is_artifact_name(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-';
    name.len() <= 63 && name.starts_with(|c: char| c.is_ascii_lowercase()) && name.bytes().all(plain)
}

/// 64 hexadecimal digits in lower case.
#[must_use]
pub fn is_sha256(text: &str) -> bool {
    text.len() == 64
        && text
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// `type/subtype` without parameters, at most 100 characters (RFC 6838, 4.2).
#[must_use]
pub fn is_media_type(text: &str) -> bool {
    let part = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphanumeric())
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b))
    };
    text.len() <= 100
        && text
            .split_once('/')
            .is_some_and(|(kind, of)| part(kind) && part(of))
}

/// Whether an artifact may lie here: below `/tmp`, where a step writes.
///
/// # Errors
/// Why not, as a sentence about the path.
pub fn check_artifact_path(path: &str) -> Result<(), String> {
    check_plain_path(path)?;
    if is_within(path, ARTIFACT_TREE) && path != ARTIFACT_TREE {
        return Ok(());
    }
    let shown = clip(path, 100);
    Err(format!(
        "{shown:?} is not below {ARTIFACT_TREE}, where a step writes"
    ))
}

/// Something that no definition can ask for.
pub(crate) fn artifacts_within_language<'a>(
    artifacts: impl ExactSizeIterator<Item = (&'a String, &'a ArtifactDecl)>,
) -> Result<(), String> {
    if artifacts.len() > limits::ARTIFACTS {
        return Err(format!(
            "it keeps {} artifacts, the language has at most {}",
            artifacts.len(),
            limits::ARTIFACTS
        ));
    }
    for (name, artifact) in artifacts {
        if !is_artifact_name(name) {
            return Err(format!("{:?} is no artifact's name", clip(name, 100)));
        }
        check_artifact_path(&artifact.path).map_err(|why| format!("an artifact's path {why}"))?;
        if artifact
            .media_type
            .as_ref()
            .is_some_and(|media| !is_media_type(media))
        {
            return Err(format!("the media type of the artifact {name} is none"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_lies_below_tmp_and_has_a_plain_name() {
        for path in ["/tmp/x", "/tmp/out/heap.hprof", "/tmp/a b/ü"] {
            assert_eq!(check_artifact_path(path), Ok(()));
        }
        for path in [
            "/tmp",
            "/tmp/",
            "/tmp/../etc/x",
            "/etc/x",
            "tmp/x",
            "/tmpx/y",
            "/tmp/a/./b",
            "/tmp/a\0",
        ] {
            assert!(check_artifact_path(path).is_err(), "{path:?}");
        }
        assert!(is_artifact_name("heap-dump_1") && !is_artifact_name("Heap") && !is_artifact_name("a.b"));
        assert!(!is_artifact_name("../x") && !is_artifact_name(""));
        for media in ["text/plain", "application/vnd.oci.image+json", OCTETS, TAR] {
            assert!(is_media_type(media), "{media}");
        }
        for media in [
            "text",
            "text/",
            "/x",
            "text/html; charset=utf-8",
            "a/b\r\nX: y",
            "a/b/c",
        ] {
            assert!(!is_media_type(media), "{media:?}");
        }
    }
}

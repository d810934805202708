//! What a container keeps, as written.

use types::{ArtifactDecl, check_artifact_path, is_media_type, limits};

use super::{
    ArtifactSpec, At,
    fields::{Known, Name, Reader, short},
};
use crate::{
    code::Code,
    yaml::{Data, Entry, Node},
};

/// `NAME: PATH`, or `NAME: { path, media-type, if-missing }`.
pub(super) fn lower(reader: &mut Reader<'_>, node: &Node) -> Vec<ArtifactSpec> {
    let Some(entries) = reader.map(node, "`artifacts`") else {
        return Vec::new();
    };
    if entries.len() > limits::ARTIFACTS {
        let message = format!(
            "{} artifacts; at most {} are allowed",
            entries.len(),
            limits::ARTIFACTS
        );
        reader
            .sink
            .error(Code::BadValue, node.at, message)
            .help("keep a directory: it becomes one archive");
        return Vec::new();
    }
    entries
        .iter()
        .filter_map(|entry| artifact(reader, entry))
        .collect()
}

fn artifact(reader: &mut Reader<'_>, entry: &Entry) -> Option<ArtifactSpec> {
    reader.name(&entry.key, entry.key_at, "an artifact's name", Name::Key);
    let name = At {
        value: entry.key.clone(),
        at: entry.key_at,
    };
    let mut decl = ArtifactDecl {
        path: String::new(),
        media_type: None,
        optional: false,
    };
    if !matches!(entry.value.data, Data::Map(_)) {
        decl.path = path(reader, &entry.value)?;
        return Some(ArtifactSpec { name, decl });
    }
    let known = Known::keys("an artifact", &["path", "media-type", "if-missing"]);
    let fields = reader.fields(&entry.value, &known)?;
    if let Some(media) = fields.get("media-type") {
        decl.media_type = media_type(reader, &media.value);
    }
    if let Some(missing) = fields.get("if-missing") {
        let words = [("fail", false), ("ignore", true)];
        decl.optional = reader
            .word(&missing.value, "`if-missing`", &words)
            .unwrap_or_default();
    }
    let Some(at) = fields.get("path") else {
        if fields.lacks("path") {
            let message = format!("the artifact `{}` needs its `path`", short(&entry.key));
            reader
                .sink
                .error(Code::MissingKey, entry.key_at, message)
                .help("add `path: /tmp/NAME`: a file, or a directory that is kept as a tar archive");
        }
        return None;
    };
    decl.path = path(reader, &at.value)?;
    Some(ArtifactSpec { name, decl })
}

fn path(reader: &mut Reader<'_>, node: &Node) -> Option<String> {
    let path = reader.text(node, "an artifact's path")?;
    if let Err(why) = check_artifact_path(path) {
        reader
            .sink
            .error(
                Code::BadValue,
                node.at,
                format!("an artifact cannot lie there: {why}"),
            )
            .help("let the step write to /tmp/NAME: nothing else of it can be written to");
        return None;
    }
    Some(path.to_owned())
}

fn media_type(reader: &mut Reader<'_>, node: &Node) -> Option<String> {
    let text = reader.text(node, "`media-type`")?;
    if !is_media_type(text) {
        let message = format!("`media-type` does not take `{}`", short(text));
        reader
            .sink
            .error(Code::BadValue, node.at, message)
            .help("write a type and a subtype without parameters, such as text/plain");
        return None;
    }
    Some(text.to_owned())
}

//! The files of a container as written.

use types::{FILE_MODE, FILE_MODES, limits};

use super::{
    At, FileFromSpec, FileSpec,
    fields::{Known, Reader, short},
};
use crate::{
    code::Code,
    template::Tpl,
    yaml::{Data, Entry, Node},
};

/// `PATH: content`, or `PATH: { content: …, mode: 0444 }`.
pub(super) fn lower(reader: &mut Reader<'_>, node: &Node) -> Vec<FileSpec> {
    let Some(entries) = reader.map(node, "`files`") else {
        return Vec::new();
    };
    if entries.len() > limits::FILES {
        let message = format!("{} files; at most {} are allowed", entries.len(), limits::FILES);
        reader
            .sink
            .error(Code::BadValue, node.at, message)
            .help("put them into an archive, or into the image");
        return Vec::new();
    }
    entries.iter().filter_map(|entry| file(reader, entry)).collect()
}

fn file(reader: &mut Reader<'_>, entry: &Entry) -> Option<FileSpec> {
    let path = At {
        value: entry.key.clone(),
        at: entry.key_at,
    };
    let (from, mode) = match &entry.value.data {
        Data::Map(_) => detailed(reader, entry)?,
        _ => (
            FileFromSpec::Content(Tpl::read(&entry.value, reader.source, reader.sink)),
            FILE_MODE,
        ),
    };
    Some(FileSpec { path, from, mode })
}

fn detailed(reader: &mut Reader<'_>, entry: &Entry) -> Option<(FileFromSpec, u32)> {
    let fields = reader.fields(
        &entry.value,
        &Known::keys("a file", &["content", "artifact", "mode"]),
    )?;
    let mode = match fields.get("mode") {
        Some(entry) => mode(reader, &entry.value)?,
        None => FILE_MODE,
    };
    let from = match (fields.get("content"), fields.get("artifact")) {
        (Some(content), None) => FileFromSpec::Content(Tpl::read(&content.value, reader.source, reader.sink)),
        (None, Some(artifact)) => artifact_of(reader, &artifact.value)?,
        (Some(content), Some(artifact)) => {
            reader
                .sink
                .error(
                    Code::Conflict,
                    artifact.key_at,
                    "a file has `content` or is an `artifact`, not both",
                )
                .also(content.key_at, "`content` is here")
                .help("make it two files");
            return None;
        }
        (None, None) => {
            if fields.lacks("content") && fields.lacks("artifact") {
                let message = format!("the file `{}` needs its `content`", short(&entry.key));
                reader.sink.error(Code::MissingKey, entry.key_at, message).help(
                    "add `content: …` (a text, or a value that is written as JSON), or `artifact: STEP.NAME`",
                );
            }
            return None;
        }
    };
    if let FileFromSpec::Artifact { name, .. } = &from
        && mode & 0o111 != 0
    {
        reader
            .sink
            .error(Code::BadValue, name.at, "an artifact cannot be a program")
            .help("what a step left is data: write a mode without x, and give it to a program of the workflow's own");
        return None;
    }
    Some((from, mode))
}

/// `STEP.NAME`, both with their places.
fn artifact_of(reader: &mut Reader<'_>, node: &Node) -> Option<FileFromSpec> {
    let text = reader.text(node, "`artifact`")?;
    let Some((step, name)) = text.split_once('.') else {
        reader
            .sink
            .error(
                Code::BadValue,
                node.at,
                format!("`artifact` does not take `{}`", short(text)),
            )
            .help("write STEP.NAME: the step that keeps it, and its name there");
        return None;
    };
    let at = |value: &str| At {
        value: value.to_owned(),
        at: node.at,
    };
    Some(FileFromSpec::Artifact {
        step: at(step),
        name: at(name),
    })
}

/// Octal digits as `chmod` takes them, whether YAML reads them as a number or not.
fn mode(reader: &mut Reader<'_>, node: &Node) -> Option<u32> {
    let written = reader
        .source
        .text
        .get(node.at.start..node.at.end)
        .unwrap_or_default();
    let digits = written.trim().trim_matches(['"', '\'']);
    let digits = digits.strip_prefix("0o").unwrap_or(digits);
    match u32::from_str_radix(digits, 8) {
        Ok(mode) if mode & !FILE_MODES == 0 && (3..=4).contains(&digits.len()) => Some(mode),
        _ => {
            let message = format!("`mode` does not take `{}`", short(written));
            reader.sink.error(Code::BadValue, node.at, message).help(
                "write permissions in octal, 0400 to 0555: 0444 is for everybody to read, 0555 to execute; nobody writes to it",
            );
            None
        }
    }
}

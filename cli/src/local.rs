//! Actions of a team's own: the folders that a definition's `uses: ./…` names, read beside it.

use std::{
    io,
    path::{Component, Path, PathBuf},
};

use types::{Signature, limits};
use workflow::{ActionFiles, Diagnostic, LocalAction, SourceFile};

use crate::{exit::Fault, input};

/// The file of an action's folder.
const FILES: [&str; 2] = ["action.yaml", "action.yml"];
/// The text that `main` names, in bytes: with it a program's arguments stay below what the kernel takes.
const MAIN_BYTES: usize = 96 * 1024;
/// Folders of one definition.
const MOST: usize = 100;

/// Whether a file is an action's, by its name.
pub(crate) fn is_action(path: &str) -> bool {
    let name = Path::new(path).file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| FILES.contains(&name))
}

/// The actions whose folders a definition uses.
pub(crate) fn of(path: &str, source: &SourceFile) -> Vec<LocalAction> {
    let beside = match path {
        "-" => Path::new(""),
        path => Path::new(path).parent().unwrap_or(Path::new("")),
    };
    let read = |(n, uses): (usize, String)| {
        let files = match n {
            0..MOST => folder(&beside.join(&uses)),
            _ => Err(format!("a definition uses at most {MOST} folders")),
        };
        LocalAction { uses, files }
    };
    workflow::local_uses(source)
        .into_iter()
        .enumerate()
        .map(read)
        .collect()
}

/// A folder's files.
///
/// # Errors
/// In words, what cannot be read.
pub(crate) fn folder(folder: &Path) -> Result<ActionFiles, String> {
    let folder = plain(folder);
    let found = FILES
        .iter()
        .map(|name| folder.join(name))
        .find(|path| path.exists());
    let Some(path) = found else {
        return Err(format!("there is no {}", folder.join(FILES[0]).display()));
    };
    file(&path)
}

/// An action's file with the text that its `main` names, which lies in the same folder.
///
/// # Errors
/// In words, what cannot be read.
pub(crate) fn file(path: &Path) -> Result<ActionFiles, String> {
    let definition = SourceFile::new(path.display().to_string(), text(path, limits::DEFINITION_BYTES)?);
    let main = match workflow::main_of(&definition) {
        Some(name) => {
            // Another folder's file might be one that nobody meant to send.
            let mut parts = Path::new(&name).components();
            if !matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None)) {
                return Err(format!("`main: {name}` is no name of a file in its own folder"));
            }
            Some(text(&path.with_file_name(&name), MAIN_BYTES)?)
        }
        None => None,
    };
    Ok(ActionFiles { definition, main })
}

fn text(path: &Path, most: usize) -> Result<String, String> {
    let failed = |what: &str| format!("{} {what}", path.display());
    // A link may lead to what nobody meant to send, a pipe never ends.
    if std::fs::symlink_metadata(path).is_ok_and(|found| !found.is_file()) {
        return Err(failed("is no plain file of its folder"));
    }
    let bytes = path
        .to_str()
        .ok_or_else(|| failed("has a name that is not UTF-8"))
        .and_then(|name| input::read_most(name, most).map_err(|error| failed(&words(&error))))?;
    if bytes.len() > most {
        return Err(failed(&format!("is larger than {most} bytes")));
    }
    String::from_utf8(bytes).map_err(|_| failed("is not UTF-8"))
}

fn words(error: &io::Error) -> String {
    // The number behind the system's words tells a person nothing.
    let words = error.to_string();
    format!(
        "cannot be read: {}",
        words.split(" (os error").next().unwrap_or_default()
    )
}

/// Without `.` and without a folder and the `..` that leaves it.
fn plain(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if matches!(clean.components().next_back(), Some(Component::Normal(_))) => {
                clean.pop();
            }
            part => clean.push(part),
        }
    }
    clean
}

/// The folders below `folder` that hold an action, each as `uses` would name it.
pub(crate) fn below(folder: &str) -> Vec<(String, Result<Signature, String>)> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| {
            FILES
                .iter()
                .any(|file| Path::new(folder).join(name).join(file).is_file())
        })
        .collect();
    names.sort();
    let signed = |name: String| {
        let uses = format!("{folder}/{name}");
        let signature = signature(&uses);
        (uses, signature)
    };
    names.into_iter().map(signed).collect()
}

/// The contract of an action by its folder.
///
/// # Errors
/// In words, what cannot be read or is wrong.
pub(crate) fn signature(uses: &str) -> Result<Signature, String> {
    let files = folder(Path::new(uses))?;
    let (signature, diagnostics) = workflow::read_action(uses, &files);
    signature.ok_or_else(|| {
        let name = &files.definition.name;
        format!(
            "{}; `firehall check {name}` shows it",
            workflow::count(&diagnostics)
        )
    })
}

/// A definition's text with the actions of its folders in it, as a server gets it.
///
/// # Errors
/// A file that cannot be read, an action that is wrong.
pub(crate) fn definition(path: &str) -> Result<String, Fault> {
    let source = SourceFile::new(path, input::definition(path)?);
    let actions = of(path, &source);
    for action in &actions {
        let files = action.files.as_ref().map_err(|why| {
            Fault::usage(format!(
                "{path}: the action {} cannot be read: {why}",
                action.uses
            ))
            .hint("`uses` names a folder beside the definition that has an action.yaml")
        })?;
        let (signature, diagnostics) = workflow::read_action(&action.uses, files);
        if signature.is_none() {
            return Err(wrong(&files.definition, &diagnostics));
        }
    }
    workflow::bundle(&source, &actions).map_err(|why| Fault::usage(format!("{path}: {why}")))
}

fn wrong(file: &SourceFile, diagnostics: &[Diagnostic]) -> Fault {
    let said = workflow::render_text(diagnostics, file, false);
    Fault::usage(format!("{} is no valid action\n{}", file.name, said.trim_end()))
        .hint(format!("`firehall check {}` shows each place", file.name))
}

//! Definitions as files: read within their limit, found in folders, compiled against this binary's own actions.

use std::{fs, io, path::Path};

use types::{Catalogue, Signature, limits};
use workflow::{Diagnostic, Plan, Refused, SourceFile};

use crate::{input, local};

/// A definition that was compiled or could not even be read.
#[derive(Debug)]
pub(crate) struct Checked {
    /// What can be shown of it; its name is the path as it was given.
    pub(crate) source: SourceFile,
    pub(crate) diagnostics: Vec<Diagnostic>,
    /// What it is; none when something is wrong.
    pub(crate) made: Option<Made>,
}

/// What a right file is.
#[derive(Debug)]
pub(crate) enum Made {
    Workflow(Box<Plan>),
    /// An action of a team's own.
    Action(Box<Signature>),
}

impl Checked {
    /// The plan of a right workflow.
    pub(crate) fn plan(&self) -> Option<&Plan> {
        match &self.made {
            Some(Made::Workflow(plan)) => Some(plan),
            Some(Made::Action(_)) | None => None,
        }
    }
}

impl From<Refused> for Checked {
    fn from(refused: Refused) -> Self {
        Self {
            source: refused.source,
            diagnostics: refused.diagnostics,
            made: None,
        }
    }
}

/// Compiles a file, or standard input for `-`, with the actions of its folders: itself first, then they. What is wrong with
/// the file itself is a diagnostic like any other.
pub(crate) fn check(path: &str, catalogue: &Catalogue) -> Vec<Checked> {
    if local::is_action(path) {
        return vec![action(path)];
    }
    let bytes = match input::read_most(path, limits::DEFINITION_BYTES) {
        Ok(bytes) => bytes,
        Err(error) => return vec![unreadable(path, &error).into()],
    };
    let source = match SourceFile::from_bytes(path, bytes) {
        Ok(source) => source,
        Err(refused) => return vec![refused.into()],
    };
    let actions = local::of(path, &source);
    let compiled = workflow::compile_with(&source, &actions, catalogue);
    let own = Checked {
        source,
        diagnostics: compiled.own.diagnostics,
        made: compiled.own.plan.map(|plan| Made::Workflow(Box::new(plan))),
    };
    let signed = |uses: &str, files| workflow::read_action(uses, files).0;
    let others = compiled.actions.into_iter().map(|(source, diagnostics)| {
        let own = actions.iter().find_map(|action| {
            let files = action.files.as_ref().ok()?;
            (files.definition.name == source.name).then_some((&action.uses, files))
        });
        let signature = own.and_then(|(uses, files)| signed(uses, files));
        Checked {
            source,
            diagnostics,
            made: signature.map(|signature| Made::Action(Box::new(signature))),
        }
    });
    std::iter::once(own).chain(others).collect()
}

/// An action's own file.
fn action(path: &str) -> Checked {
    let files = match local::file(Path::new(path)) {
        Ok(files) => files,
        Err(why) => {
            return SourceFile::unreadable(path, &why, "an action.yaml and its `main` lie in one folder")
                .into();
        }
    };
    let (signature, diagnostics) = workflow::read_action(path, &files);
    Checked {
        source: files.definition,
        diagnostics,
        made: signature.map(|signature| Made::Action(Box::new(signature))),
    }
}

fn unreadable(path: &str, error: &io::Error) -> Refused {
    // The number behind the system's words tells a person nothing.
    let words = error.to_string();
    let words = words.split(" (os error").next().unwrap_or_default();
    let help = match error.kind() {
        io::ErrorKind::NotFound => match neighbour(path) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "name a file that is there, or `-` for standard input".to_owned(),
        },
        io::ErrorKind::PermissionDenied => "run it as a user who may read the file".to_owned(),
        _ => "name a file with a definition".to_owned(),
    };
    SourceFile::unreadable(path, &format!("this file cannot be read: {words}"), &help)
}

/// The file beside a missing one that was probably meant.
fn neighbour(path: &str) -> Option<String> {
    let path = Path::new(path);
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let entries = fs::read_dir(folder.unwrap_or(Path::new("."))).ok()?;
    let names: Vec<String> = entries
        .take(MOST)
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    // An ending that both have would make any two short names alike.
    let stem = |name: &'_ str| name.rsplit_once('.').map_or(name, |(stem, _)| stem).to_owned();
    let stems: Vec<String> = names.iter().map(|name| stem(name)).collect();
    let meant = workflow::nearest(
        &stem(path.file_name()?.to_str()?),
        stems.iter().map(String::as_str),
    )?;
    let near = stems
        .iter()
        .position(|stem| stem == meant)
        .and_then(|index| names.get(index))?;
    Some(folder.map_or_else(|| near.clone(), |folder| folder.join(near).display().to_string()))
}

/// Files of one folder, and folders in each other: more are refused, not left out.
const MOST: usize = 10_000;
const DEEPEST: usize = 32;

/// The definitions that an argument names: itself, or for a folder every `.yaml`, `.yml` and `.json` file below it, in
/// order. Hidden files and folders and links to folders are left out.
///
/// # Errors
/// What is wrong with the folder.
pub(crate) fn files(argument: &str) -> Result<Vec<String>, Refused> {
    let path = Path::new(argument);
    if argument == "-" || !path.is_dir() {
        return Ok(vec![argument.to_owned()]);
    }
    let mut found = Vec::new();
    below(path, DEEPEST, &mut found).map_err(|why| {
        let help = "name the files themselves, or a smaller folder";
        SourceFile::unreadable(argument, &why, help)
    })?;
    if found.is_empty() {
        let why = "this folder holds no definition: no file in it ends with .yaml, .yml or .json";
        let help = "name a file, or a folder with definitions";
        return Err(SourceFile::unreadable(argument, why, help));
    }
    Ok(found)
}

fn below(folder: &Path, deeper: usize, found: &mut Vec<String>) -> Result<(), String> {
    let failed = |error: io::Error| format!("{} cannot be read: {error}", folder.display());
    let mut entries = fs::read_dir(folder)
        .map_err(failed)?
        .collect::<io::Result<Vec<_>>>()
        .map_err(failed)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        if entry.file_type().map_err(failed)?.is_dir() {
            let deeper = deeper
                .checked_sub(1)
                .ok_or_else(|| format!("this folder is more than {DEEPEST} folders deep"))?;
            below(&path, deeper, found)?;
        } else if path
            .extension()
            .is_some_and(|end| end == "yaml" || end == "yml" || end == "json")
        {
            // A link to nowhere is no file to pass over: reading it says what is wrong.
            if fs::metadata(&path).is_ok_and(|what| !what.is_file()) {
                continue;
            }
            if found.len() >= MOST {
                return Err(format!("this folder holds more than {MOST} files"));
            }
            let name = path
                .to_str()
                .ok_or_else(|| format!("{} has a name that is not UTF-8", path.display()))?;
            found.push(name.strip_prefix("./").unwrap_or(name).to_owned());
        }
    }
    Ok(())
}

//! Actions of a team's own: `uses: ./actions/disk` names a folder with an `action.yaml`. Whoever has the files gives
//! them here; a definition that is sent elsewhere brings its actions along in itself, under `actions`.

use std::collections::{BTreeMap, BTreeSet};

use types::{Catalogue, Value};

use crate::{
    Diagnostic, SourceFile,
    compile::{self, Compiled},
    diagnostic::Sink,
    spec::{self, ActionDef},
    yaml::{self, Data, Node},
};

/// An action that a definition uses by its folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalAction {
    /// As it stands in `uses`.
    pub uses: String,
    /// Its files, or why they cannot be read.
    pub files: Result<ActionFiles, String>,
}

/// The files of an action's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActionFiles {
    /// `action.yaml`.
    pub definition: SourceFile,
    /// The text of the file that `main` names.
    pub main: Option<String>,
}

/// What became of a definition with the actions of its folders.
#[derive(Debug, Clone, PartialEq)]
pub struct CompiledAll {
    /// The definition; it has a plan only when its actions are right, too.
    pub own: Compiled,
    /// Each action's file with what is wrong in it.
    pub actions: Vec<(SourceFile, Vec<Diagnostic>)>,
}

/// What a compiler knows of local actions.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// By `uses`.
    pub(crate) defs: BTreeMap<String, ActionDef>,
    /// Wrong, which has been said in their own file.
    pub(crate) wrong: BTreeSet<String>,
    /// Why they cannot be read.
    pub(crate) absent: BTreeMap<String, String>,
}

/// Whether `uses` names a folder: `./actions/disk`, `../actions/disk`.
#[must_use]
pub fn is_local(uses: &str) -> bool {
    uses.starts_with("./") || uses.starts_with("../")
}

/// The folders that a definition's steps use, each once; none where it cannot be read.
#[must_use]
pub fn local_uses(source: &SourceFile) -> Vec<String> {
    let Some(root) = yaml::read(source, &mut Sink::default()) else {
        return Vec::new();
    };
    let brought: Vec<&str> = entries(&root, "actions").map(|(key, _)| key).collect();
    let mut found: Vec<String> = Vec::new();
    for (_, step) in entries(&root, "steps") {
        let Data::Map(keys) = &step.data else { continue };
        for entry in keys.iter().filter(|entry| entry.key == "uses") {
            if let Data::Scalar(Value::String(uses)) = &entry.value.data
                && is_local(uses)
                && !brought.contains(&uses.as_str())
                && !found.contains(uses)
            {
                found.push(uses.clone());
            }
        }
    }
    found
}

fn entries<'n>(root: &'n Node, key: &str) -> impl Iterator<Item = (&'n str, &'n Node)> {
    let of = |node: &'n Node| match &node.data {
        Data::Map(entries) => entries.as_slice(),
        _ => &[],
    };
    let found = of(root).iter().find(|entry| entry.key == key);
    let inner = found.map_or(&[][..], |entry| of(&entry.value));
    inner.iter().map(|entry| (entry.key.as_str(), &entry.value))
}

/// The file that an action's `main` names.
#[must_use]
pub fn main_of(definition: &SourceFile) -> Option<String> {
    let root = yaml::read(definition, &mut Sink::default())?;
    spec::main_of(&root).map(str::to_owned)
}

/// An action's contract, and what is wrong with its file.
#[must_use]
pub fn read_action(uses: &str, files: &ActionFiles) -> (Option<types::Signature>, Vec<Diagnostic>) {
    let mut known = Known::default();
    let diagnostics = known.read(uses, files);
    let def = known.defs.remove(uses);
    (def.map(|def| def.signature), diagnostics)
}

impl Known {
    fn read(&mut self, uses: &str, files: &ActionFiles) -> Vec<Diagnostic> {
        let mut sink = Sink::default();
        let def = yaml::read(&files.definition, &mut sink).and_then(|root| {
            spec::lower_action(&root, uses, files.main.as_deref(), &files.definition, &mut sink)
        });
        match def {
            Some(def) if !sink.has_errors() => drop(self.defs.insert(uses.to_owned(), def)),
            _ => drop(self.wrong.insert(uses.to_owned())),
        }
        sink.finish(&files.definition)
    }
}

/// Compiles a definition with the actions of its folders: as [`crate::compile`], which knows only those that a
/// definition brings along.
#[must_use]
pub fn compile_with(source: &SourceFile, actions: &[LocalAction], catalogue: &Catalogue) -> CompiledAll {
    let mut known = Known::default();
    let mut told = Vec::new();
    for action in actions {
        match &action.files {
            Ok(files) => {
                let diagnostics = known.read(&action.uses, files);
                told.push((files.definition.clone(), diagnostics));
            }
            Err(why) => drop(known.absent.insert(action.uses.clone(), why.clone())),
        }
    }
    let right = known.wrong.is_empty();
    let mut own = compile::with(source, known, catalogue);
    own.plan = own.plan.filter(|_| right);
    CompiledAll { own, actions: told }
}

/// The definition with its actions in it, for a server that has no folder of it. The places of what stands in the
/// definition stay.
///
/// # Errors
/// In words, when they cannot be put into its text.
pub fn bundle(source: &SourceFile, actions: &[LocalAction]) -> Result<String, String> {
    if actions.is_empty() {
        return Ok(source.text.clone());
    }
    let mut all = types::Object::new();
    for action in actions {
        let files = action
            .files
            .as_ref()
            .map_err(|why| format!("{}: {why}", action.uses))?;
        let root = yaml::read(&files.definition, &mut Sink::default())
            .ok_or_else(|| format!("{} is not YAML", files.definition.name))?;
        all.insert(
            action.uses.clone(),
            spec::action_json(&root, files.main.as_deref()),
        );
    }
    let root = yaml::read(source, &mut Sink::default()).ok_or("the definition is not YAML")?;
    let Data::Map(keys) = &root.data else {
        return Err("the definition is no map".to_owned());
    };
    if keys.iter().any(|entry| entry.key == "actions") {
        return Err(
            "it brings some of its actions along in `actions`: bring all of them, or none".to_owned(),
        );
    }
    let brought = Value::Object(all);
    let text = source.text.trim_end();
    let text = match text
        .strip_suffix('}')
        .filter(|_| text.trim_start().starts_with('{'))
    {
        Some(open) => format!("{open},\"actions\":{brought}}}\n"),
        None => {
            let start = keys.first().map_or(0, |entry| entry.key_at.start);
            let line = source.text.get(..start).unwrap_or_default();
            let indent = line.len() - line.rfind('\n').map_or(0, |at| at + 1);
            format!("{text}\n{}actions: {brought}\n", " ".repeat(indent))
        }
    };
    let bundled = SourceFile::new(source.name.clone(), text);
    let whole = yaml::read(&bundled, &mut Sink::default())
        .is_some_and(|root| entries(&root, "actions").count() == actions.len());
    if whole {
        Ok(bundled.text)
    } else {
        Err("its actions cannot be added at its end (or it would be too large): write them under `actions:` in it".to_owned())
    }
}

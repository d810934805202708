//! The files of a container: where they lie, what is in them, and how much.

use std::collections::BTreeMap;

use types::{HOST_IMAGE, Type, Value, check_file_path, is_within, limits};

use super::{
    info::Level,
    sinks::{Checker, Wanted},
};
use crate::{
    PlanFile, PlanFileFrom, Template,
    code::Code,
    diagnostic::Loc,
    spec::{At, ContainerSpec, FileFromSpec, FileSpec, short},
};

/// Those of a step, or of a service beside it; `bytes` are what they hold together so far.
pub(super) fn check(
    checker: &mut Checker<'_>,
    container: &ContainerSpec,
    image: &Template,
    bytes: &mut usize,
) -> BTreeMap<String, PlanFile> {
    let on_host = matches!(image, Template::Literal(Value::String(name)) if name == HOST_IMAGE);
    let mut files = BTreeMap::new();
    for file in &container.files {
        place(checker, container, file, on_host);
        let from = match &file.from {
            FileFromSpec::Content(content) => {
                let what = format!("the file `{}`", short(&file.path.value));
                let wanted = Wanted {
                    what: &what,
                    // What can be executed is code.
                    level: if file.mode & 0o111 == 0 {
                        Level::Untrusted
                    } else {
                        Level::Trusted
                    },
                    ty: &Type::Json,
                    to_text: false,
                };
                let template = checker.template(content, &wanted);
                *bytes += written(&template);
                if *bytes > limits::FILES_BYTES {
                    too_large(checker, content.at);
                    return files;
                }
                PlanFileFrom::Content(template)
            }
            FileFromSpec::Artifact { step, name } => {
                artifact(checker, step, name);
                PlanFileFrom::Artifact {
                    step: step.value.clone(),
                    name: name.value.clone(),
                }
            }
        };
        let mode = file.mode;
        files.insert(file.path.value.clone(), PlanFile { from, mode });
    }
    files
}

/// Whether there is such an artifact.
fn artifact(checker: &mut Checker<'_>, step: &At<String>, name: &At<String>) {
    let world = checker.world;
    // An unknown step has been said with the edges.
    let Some(index) = world.step_key(&step.value) else {
        return;
    };
    let of = &world.spec.steps[index];
    if of.artifact(&name.value).is_none() {
        let message = format!(
            "the step `{}` keeps no artifact `{}`",
            of.key.value,
            short(&name.value)
        );
        let known = of.artifacts().iter().map(|artifact| artifact.name.value.as_str());
        let draft = checker
            .sink
            .error(Code::UnknownArtifact, name.at, message)
            .also(of.key.at, "the step");
        match crate::nearest(&name.value, known) {
            Some(near) => draft.help(format!("did you mean `{}.{near}`?", of.key.value)),
            None => draft.help("name what it keeps in its `artifacts`"),
        };
    } else if of.fan.is_some() {
        let message = format!("each item of `{}` keeps its own `{}`", of.key.value, name.value);
        checker
            .sink
            .error(Code::UnknownArtifact, name.at, message)
            .also(of.key.at, "the step")
            .help("a file is of a step that runs once");
    }
}

fn place(checker: &mut Checker<'_>, container: &ContainerSpec, file: &FileSpec, on_host: bool) {
    let path = &file.path.value;
    if let Err(why) = check_file_path(path, on_host) {
        checker
            .sink
            .error(
                Code::BadValue,
                file.path.at,
                format!("a file cannot lie there: {why}"),
            )
            .help("choose a path such as /data/NAME, in plain form");
        return;
    }
    if let Some(kept) = container
        .artifacts
        .iter()
        .find(|kept| is_within(path, &kept.decl.path) || is_within(&kept.decl.path, path))
    {
        let message = format!("`{}` would lie in what the step keeps", short(path));
        checker
            .sink
            .error(Code::Conflict, file.path.at, message)
            .also(kept.name.at, "this artifact")
            .help("only what the step itself writes is kept: give the file another path, and copy it where it is wanted");
    }
    let files = &container.files;
    if let Some(other) = files
        .iter()
        .find(|other| other.path.value != *path && is_within(path, &other.path.value))
    {
        let message = format!("`{}` would lie in a file", short(path));
        checker
            .sink
            .error(Code::Conflict, file.path.at, message)
            .also(other.path.at, "this one")
            .help("give one of them another path");
    }
}

/// What is known of its size before a run: constants, in their JSON form.
fn written(template: &Template) -> usize {
    match template {
        Template::Literal(value) => value.to_string().len(),
        Template::Expr(_) => 0,
        Template::Concat(parts) | Template::List(parts) => parts.iter().map(written).sum(),
        Template::Map(parts) => parts.values().map(written).sum(),
    }
}

fn too_large(checker: &mut Checker<'_>, at: Loc) {
    let message = format!(
        "the files of a step and its services hold at most {} bytes together",
        limits::FILES_BYTES
    );
    checker
        .sink
        .error(Code::BadValue, at, message)
        .help("they travel with the step to its agent; what is larger belongs into the image");
}

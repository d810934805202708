//! The definition as written: known keys with their values, each with its place. Built by hand from the tree, so that
//! every wrong key and value of a file is said in one pass.

mod action;
mod artifacts;
mod container;
mod fields;
mod files;
mod foreign;
mod service;
mod step;
mod units;
mod workflow;

use std::collections::BTreeSet;

use types::{
    ArtifactDecl, HostView, IfLost, Millis, Network, OutputFrom, Pull, Ready, Resources, Retry, RuntimeName,
    Type, Value,
};

use crate::{
    diagnostic::Loc,
    template::{ExprSpec, Tpl},
};

pub(crate) use action::{ActionDef, json as action_json, lower as lower_action, main_of};
pub(crate) use fields::{is_name, short};
pub(crate) use workflow::lower;

/// A value with its place.
#[derive(Debug, Clone)]
pub(crate) struct At<T> {
    pub(crate) value: T,
    pub(crate) at: Loc,
}

#[derive(Debug, Default)]
pub(crate) struct Spec {
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    /// Bound to alerts, with its condition.
    pub(crate) on_alert: Option<Option<ExprSpec>>,
    pub(crate) inputs: Vec<InputSpec>,
    pub(crate) steps: Vec<StepSpec>,
    /// Those that it brings along, and those of its folders.
    pub(crate) actions: crate::local::Known,
}

#[derive(Debug)]
pub(crate) struct InputSpec {
    pub(crate) name: At<String>,
    /// None: said.
    pub(crate) ty: Option<Type>,
    pub(crate) default: Option<Value>,
    pub(crate) one_of: Vec<Value>,
    pub(crate) description: Option<String>,
}

#[derive(Debug)]
pub(crate) struct StepSpec {
    pub(crate) key: At<String>,
    pub(crate) name: Option<String>,
    pub(crate) needs: Vec<At<String>>,
    pub(crate) when: Option<ExprSpec>,
    pub(crate) fan: Option<FanSpec>,
    pub(crate) runs_on: Vec<(String, Loc, Tpl)>,
    pub(crate) pickup: Option<Millis>,
    pub(crate) outputs: Vec<OutputSpec>,
    pub(crate) outputs_at: Option<Loc>,
    pub(crate) timeout: Option<Millis>,
    pub(crate) grace: Option<Millis>,
    pub(crate) disconnect: Option<Millis>,
    pub(crate) retry: Retry,
    pub(crate) allow_failure: Option<Loc>,
    pub(crate) if_lost: Option<(IfLost, Option<Millis>)>,
    pub(crate) body: BodySpec,
}

#[derive(Debug)]
pub(crate) struct OutputSpec {
    pub(crate) name: At<String>,
    /// None: said.
    pub(crate) ty: Option<Type>,
    pub(crate) optional: bool,
}

#[derive(Debug)]
pub(crate) enum FanSpec {
    Each {
        items: Tpl,
        max_parallel: Option<u32>,
    },
    Follow {
        steps: Vec<At<String>>,
        gather: Option<Millis>,
    },
}

#[derive(Debug)]
pub(crate) enum BodySpec {
    Action {
        uses: At<String>,
        with: Vec<(String, Loc, Tpl)>,
    },
    Container(Box<ContainerSpec>),
    /// Said.
    Wrong,
}

#[derive(Debug)]
pub(crate) struct ContainerSpec {
    pub(crate) image: Tpl,
    pub(crate) pull: Pull,
    pub(crate) argv: Vec<Tpl>,
    pub(crate) env: Vec<(String, Loc, Tpl)>,
    pub(crate) secrets: Vec<(String, String)>,
    /// Those of them that are files.
    pub(crate) secret_files: BTreeSet<String>,
    pub(crate) files: Vec<FileSpec>,
    pub(crate) artifacts: Vec<ArtifactSpec>,
    pub(crate) resources: Resources,
    pub(crate) network: Network,
    pub(crate) host_view: BTreeSet<HostView>,
    pub(crate) workdir: Option<String>,
    pub(crate) user: Option<u32>,
    pub(crate) output_from: OutputFrom,
    pub(crate) runtime: Option<RuntimeName>,
    pub(crate) services: Vec<ServiceSpec>,
}

/// A container beside a step.
#[derive(Debug)]
pub(crate) struct ServiceSpec {
    pub(crate) name: At<String>,
    pub(crate) container: ContainerSpec,
    pub(crate) ready: Option<Ready>,
}

/// A file of a container, by its path.
#[derive(Debug)]
pub(crate) struct FileSpec {
    pub(crate) path: At<String>,
    pub(crate) from: FileFromSpec,
    pub(crate) mode: u32,
}

#[derive(Debug)]
pub(crate) enum FileFromSpec {
    Content(Tpl),
    /// `STEP.NAME`.
    Artifact {
        step: At<String>,
        name: At<String>,
    },
}

/// What a container keeps, by its name.
#[derive(Debug)]
pub(crate) struct ArtifactSpec {
    pub(crate) name: At<String>,
    pub(crate) decl: ArtifactDecl,
}

impl StepSpec {
    /// The steps whose artifacts it gets as files.
    pub(crate) fn artifacts_read(&self) -> impl Iterator<Item = &At<String>> {
        let container = match &self.body {
            BodySpec::Container(container) => Some(&**container),
            BodySpec::Action { .. } | BodySpec::Wrong => None,
        };
        let files = container.into_iter().flat_map(|container| {
            let beside = container
                .services
                .iter()
                .flat_map(|service| &service.container.files);
            container.files.iter().chain(beside)
        });
        files.filter_map(|file| match &file.from {
            FileFromSpec::Artifact { step, .. } => Some(step),
            FileFromSpec::Content(_) => None,
        })
    }

    /// What it keeps under this name.
    pub(crate) fn artifact(&self, name: &str) -> Option<&ArtifactSpec> {
        self.artifacts()
            .iter()
            .find(|artifact| artifact.name.value == name)
    }

    /// What it keeps.
    pub(crate) fn artifacts(&self) -> &[ArtifactSpec] {
        match &self.body {
            BodySpec::Container(container) => &container.artifacts,
            BodySpec::Action { .. } | BodySpec::Wrong => &[],
        }
    }

    /// Calls for each expression that is evaluated with the step or its items; `when` is not among them.
    pub(crate) fn each_expr<'a>(&'a self, run: &mut dyn FnMut(&'a ExprSpec)) {
        let mut tpl = |tpl: &'a Tpl| tpl.each_expr(run);
        if let Some(FanSpec::Each { items, .. }) = &self.fan {
            tpl(items);
        }
        self.runs_on.iter().for_each(|(_, _, value)| tpl(value));
        match &self.body {
            BodySpec::Action { with, .. } => with.iter().for_each(|(_, _, value)| tpl(value)),
            BodySpec::Container(container) => {
                let services = container.services.iter().map(|service| &service.container);
                for container in std::iter::once(&**container).chain(services) {
                    tpl(&container.image);
                    container.argv.iter().for_each(&mut tpl);
                    container.env.iter().for_each(|(_, _, value)| tpl(value));
                    for file in &container.files {
                        match &file.from {
                            FileFromSpec::Content(content) => tpl(content),
                            FileFromSpec::Artifact { .. } => {}
                        }
                    }
                }
            }
            BodySpec::Wrong => {}
        }
    }
}

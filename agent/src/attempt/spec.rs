//! A container's work as the runtime wants it, if this agent's policy allows it.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use runtime::{ContainerSpec, Image, Network, Pod, Pull, Runtime, Secrets};
use types::{
    AttemptKey, ContainerWork, Failure, FailureKind, LeaseToken, Millis, Resources, ServiceWork, Work,
    limits, text::clip,
};

use super::{
    artifacts, files,
    pod::{self, Part},
};
use crate::context::Context;

/// Where secrets are files.
const SECRETS_DIR: &str = "/run/secrets";
/// What holds a step's network is one process of ours that waits.
const HOLDER_BYTES: u64 = 32 * 1024 * 1024;
const HOLDER_PIDS: u32 = 4;
/// What starting and ending may take.
const BEYOND_MS: Millis = 5 * 60_000;

/// The step's container and those beside it.
pub(super) struct Made {
    pub spec: ContainerSpec,
    pub secrets: Secrets,
    /// The network's holder and the services; empty without services.
    pub beside: Vec<Part>,
}

/// One attempt as its specs need it.
pub(super) struct Of<'a> {
    pub context: &'a Context,
    pub runtime: &'a dyn Runtime,
    pub key: &'a AttemptKey,
    pub token: &'a LeaseToken,
    /// Its directory.
    pub dir: &'a Path,
    pub work: &'a Work,
}

impl Of<'_> {
    /// Makes the specs.
    ///
    /// # Errors
    /// What this agent does not have or does not allow, with the way out.
    pub(super) async fn make(&self, container: &ContainerWork) -> Result<Made, Failure> {
        let mut beside = Vec::new();
        let holds = !container.services.is_empty() && container.network != Network::Host;
        let pod = Pod {
            hosts: container.services.keys().cloned().collect(),
            network_of: holds.then(|| pod::holder_dir(self.dir)),
            ..Pod::default()
        };
        if holds {
            beside.push(self.holder(container, &pod));
        }
        for (name, service) in &container.services {
            let part = self.service(container, name, service, &pod).await;
            beside.push(part.map_err(|failure| Failure {
                message: format!("service {name}: {}", failure.message),
                ..failure
            })?);
        }
        let secrets = self.secrets(&container.secrets).await?;
        self.registry(&container.image).await?;
        let mut env: Vec<(String, String)> = container.env.clone().into_iter().collect();
        env.extend(self.ours(!container.secret_files.is_empty()));
        env.push(("FIREHALL_TOKEN".to_owned(), self.token.to_string()));
        let spec = ContainerSpec {
            id: self.token.to_string(),
            image: Image::from_reference(&container.image),
            pull: container.pull,
            argv: container.argv.clone(),
            env,
            secret_files: container.secret_files.clone(),
            files: files::of(&container.files),
            artifacts: artifacts::of(container),
            artifact_bytes: self.context.policy.limits.artifact_bytes,
            workdir: container.workdir.clone(),
            user: container.user,
            host_view: container.host_view.clone(),
            timeout_ms: self.work.timeout_ms,
            pod,
            ..self.common(container.network, &container.resources)
        };
        self.can(&spec)?;
        Ok(Made {
            spec,
            secrets,
            beside,
        })
    }

    async fn service(
        &self,
        container: &ContainerWork,
        name: &str,
        service: &ServiceWork,
        pod: &Pod,
    ) -> Result<Part, Failure> {
        let secrets = self.secrets(&service.secrets).await?;
        self.registry(&service.image).await?;
        let mut env: Vec<(String, String)> = service.env.clone().into_iter().collect();
        env.extend(self.ours(!service.secret_files.is_empty()));
        env.push(("FIREHALL_SERVICE".to_owned(), name.to_owned()));
        let spec = ContainerSpec {
            id: pod::id(self.token, name),
            image: Image::from_reference(&service.image),
            pull: service.pull,
            argv: service.argv.clone(),
            env,
            secret_files: service.secret_files.clone(),
            files: files::of(&service.files),
            workdir: service.workdir.clone(),
            user: service.user,
            timeout_ms: self.longest(container),
            pod: Pod {
                ready: service.ready.clone(),
                ..pod.clone()
            },
            ..self.common(container.network, &service.resources)
        };
        self.can(&spec)?;
        Ok(Part {
            service: Some(name.to_owned()),
            dir: pod::service_dir(self.dir, name),
            spec,
            secrets,
        })
    }

    /// What has the network that all of them share, and runs nothing.
    fn holder(&self, container: &ContainerWork, pod: &Pod) -> Part {
        let resources = Resources {
            memory_bytes: HOLDER_BYTES,
            pids: HOLDER_PIDS,
            cpu_millis: None,
        };
        let spec = ContainerSpec {
            id: pod::id(self.token, pod::HOLDER_ID),
            // As the step, whose user the policy allows.
            user: container.user,
            timeout_ms: self.longest(container),
            pod: Pod {
                hosts: pod.hosts.clone(),
                holds: true,
                ..Pod::default()
            },
            ..self.common(container.network, &resources)
        };
        Part {
            service: None,
            dir: pod::holder_dir(self.dir),
            spec,
            secrets: Vec::new(),
        }
    }

    /// What is the same for all of them.
    fn common(&self, network: Network, resources: &Resources) -> ContainerSpec {
        let limits = &self.context.policy.limits;
        ContainerSpec {
            id: String::new(),
            image: Image::Host,
            pull: Pull::Missing,
            argv: Vec::new(),
            env: Vec::new(),
            secret_files: BTreeSet::new(),
            files: Vec::new(),
            artifacts: Vec::new(),
            artifact_bytes: 0,
            workdir: None,
            user: None,
            users: self.context.policy.users.clone(),
            memory_bytes: resources.memory_bytes,
            pids: resources.pids,
            cpu_millis: resources.cpu_millis.or(limits.cpu_millis),
            tmp_bytes: self.context.tmp_bytes.min(resources.memory_bytes / 4),
            network,
            host_view: BTreeSet::new(),
            timeout_ms: self.work.timeout_ms,
            grace_ms: self.work.grace_ms,
            log_cap_bytes: limits::LOG_STREAM_BYTES,
            pod: Pod::default(),
        }
    }

    /// How long what stands beside the step may live when nobody ends it: an agent that does not come back.
    fn longest(&self, container: &ContainerWork) -> Millis {
        let images = limits::IMAGE_PULL_MS * (limits::SERVICES as Millis + 1);
        let readies = container
            .services
            .values()
            .filter_map(|service| service.ready.as_ref());
        let ready = readies.map(|ready| ready.timeout_ms).max().unwrap_or(0);
        images + ready + self.work.timeout_ms + self.work.grace_ms + BEYOND_MS
    }

    async fn registry(&self, image: &str) -> Result<(), Failure> {
        self.context.registries.ready(image, &self.context.secrets).await
    }

    fn can(&self, spec: &ContainerSpec) -> Result<(), Failure> {
        match self.runtime.refuses(spec) {
            Some(why) => {
                let message = format!("agent {} cannot run this: {why}", self.context.name);
                Err(Failure::new(FailureKind::Refused, message))
            }
            None => Ok(()),
        }
    }

    async fn secrets(&self, wanted: &BTreeMap<String, String>) -> Result<Secrets, Failure> {
        let context = self.context;
        let mut secrets = Vec::with_capacity(wanted.len());
        for (variable, name) in wanted {
            if !context.secrets.has(name) {
                let name = clip(name, 120);
                let message = format!(
                    "agent {} has no secret named {name} (for {variable}): add [secrets.{name}] to its file, or set the \
                     variable {name} and start it with --secret-env {name}",
                    context.name
                );
                return Err(Failure::new(FailureKind::Refused, message));
            }
            let secret = context.secrets.get(name).await.map_err(Failure::from)?;
            secrets.push((variable.clone(), secret));
        }
        Ok(secrets)
    }

    /// What a step and its services are told of it. The token, which is used for one start only and lets a target fence,
    /// is the step's alone.
    fn ours(&self, has_files: bool) -> Vec<(String, String)> {
        let key = self.key;
        let mut env = vec![
            ("FIREHALL_RUN_ID", key.run.to_string()),
            ("FIREHALL_STEP", key.step.clone()),
            ("FIREHALL_ATTEMPT", key.attempt.to_string()),
            ("FIREHALL_AGENT", self.context.name.clone()),
        ];
        if has_files {
            env.push(("FIREHALL_SECRETS", SECRETS_DIR.to_owned()));
        }
        if let Some(index) = key.index {
            env.push(("FIREHALL_INDEX", index.to_string()));
        }
        env.into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    }
}

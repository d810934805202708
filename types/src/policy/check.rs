//! A work against a policy.

use std::collections::BTreeMap;
use std::fmt::Display;

use super::{HOST_IMAGE, ImageName, Pattern, Policy, Refusal, Rule, SecretRule, image::allows};
use crate::{
    ArtifactDecl, ContainerWork, FILE_MODES, FileFrom, HostView, Network, Resources, ServiceWork, Work,
    WorkBody, WorkFile, artifact::artifacts_within_language, check_file_path, is_artifact_name,
    is_service_name, is_sha256, is_within, limits, text::clip,
};

/// How much of what was asked for is shown.
const SHOWN: usize = 120;
/// The user of a step that names none.
const USER: u32 = 1000;

/// What one container asks for by itself.
struct Asks<'a> {
    image: &'a str,
    user: Option<u32>,
    resources: &'a Resources,
    secrets: &'a BTreeMap<String, String>,
}

/// Of which workflow and step a work is; none when it is not known yet.
#[derive(Debug, Clone, Copy, Default)]
pub struct Whose<'a> {
    /// The workflow's name.
    pub workflow: Option<&'a str>,
    /// The step's key.
    pub step: Option<&'a str>,
    /// The image comes out of an expression that has no value yet.
    pub image_is_open: bool,
}

impl Policy {
    /// Holds a work against it.
    ///
    /// # Errors
    /// The first thing that is not allowed.
    pub fn check(&self, work: &Work, whose: Whose<'_>) -> Result<(), Refusal> {
        let limits = &self.limits;
        at_most(
            "limits.timeout",
            "timeout",
            work.timeout_ms,
            Some(limits.timeout_ms),
            "ms",
        )?;
        match &work.body {
            WorkBody::Action(action) => self.action(&action.action),
            WorkBody::Container(container) => self.container(container, whose),
        }
    }

    /// Whether an action may be run.
    ///
    /// # Errors
    /// It is not allowed, or denied.
    pub fn action(&self, name: &str) -> Result<(), Refusal> {
        let asked = format!("action {}", clip(name, SHOWN));
        if !self.actions.iter().any(|pattern| pattern.matches(name)) {
            return refuse(Rule::Policy("actions"), asked, list(&self.actions));
        }
        match self.deny_actions.iter().find(|pattern| pattern.matches(name)) {
            Some(pattern) => refuse(
                Rule::Policy("deny-actions"),
                asked,
                format!("none like {pattern}"),
            ),
            None => Ok(()),
        }
    }

    fn container(&self, container: &ContainerWork, whose: Whose<'_>) -> Result<(), Refusal> {
        if self.limits.artifact_bytes == 0 && !container.artifacts.is_empty() {
            let asked = format!("{} artifacts", container.artifacts.len());
            return refuse(Rule::Policy("limits.artifacts"), asked, "none".to_owned());
        }
        if !self.networks.contains(&container.network) {
            let allowed = self.networks.iter().map(|network| Network::as_str(*network));
            let asked = format!("network: {}", container.network.as_str());
            return refuse(Rule::Policy("networks"), asked, list(allowed));
        }
        if let Some(view) = container
            .host_view
            .iter()
            .find(|view| !self.host_views.contains(view))
        {
            let allowed = self.host_views.iter().map(|view| HostView::as_str(*view));
            let asked = format!("host-view: {}", view.as_str());
            return refuse(Rule::Policy("host-views"), asked, list(allowed));
        }
        let step = Asks {
            image: &container.image,
            user: container.user,
            resources: &container.resources,
            secrets: &container.secrets,
        };
        self.asks(&step, whose)?;
        for (name, service) in &container.services {
            let asks = Asks {
                image: &service.image,
                user: service.user,
                resources: &service.resources,
                secrets: &service.secrets,
            };
            // Where the image has no value yet it is empty; no image is.
            let whose = Whose {
                image_is_open: service.image.is_empty(),
                ..whose
            };
            self.asks(&asks, whose).map_err(|refusal| Refusal {
                asked: format!("service {}: {}", clip(name, SHOWN), refusal.asked),
                ..refusal
            })?;
        }
        Ok(())
    }

    /// What a step and each of its services ask for alike.
    fn asks(&self, asks: &Asks<'_>, whose: Whose<'_>) -> Result<(), Refusal> {
        if !whose.image_is_open {
            self.image(asks.image)?;
        }
        let user = asks.user.unwrap_or(USER);
        if !self
            .users
            .iter()
            .any(|range| (range.first..=range.last).contains(&user))
        {
            return refuse(Rule::Policy("users"), format!("user: {user}"), list(&self.users));
        }
        let (asked, most) = (asks.resources, &self.limits);
        at_most(
            "limits.memory",
            "memory",
            asked.memory_bytes,
            most.memory_bytes,
            "bytes",
        )?;
        at_most("limits.pids", "pids", asked.pids, Some(most.pids), "processes")?;
        if let Some(cpu) = asked.cpu_millis {
            at_most("limits.cpu", "cpu", cpu, most.cpu_millis, "thousandths of a core")?;
        }
        for name in asks.secrets.values() {
            if let Some(rule) = self.secrets.get(name) {
                secret(name, rule, asks.image, whose)?;
            }
        }
        Ok(())
    }

    fn image(&self, image: &str) -> Result<(), Refusal> {
        let asked = || format!("image {}", clip(image, SHOWN));
        let parsed = ImageName::parse(image);
        if !self
            .images
            .iter()
            .any(|pattern| allows(pattern, image, parsed.as_ref()))
        {
            return refuse(Rule::Policy("images"), asked(), list(&self.images));
        }
        let Some(parsed) = parsed.filter(|_| image != HOST_IMAGE) else {
            return Ok(());
        };
        if self.digest_only && parsed.digest.is_none() {
            let allows = "images by their digest only (name@sha256:…)".to_owned();
            return refuse(Rule::Policy("digest-only"), asked(), allows);
        }
        match &self.registries {
            Some(registries) if !registries.iter().any(|one| one.matches(&parsed.registry)) => {
                let asked = format!("{} of registry {}", asked(), parsed.registry);
                refuse(Rule::Policy("registries"), asked, list(registries))
            }
            _ => Ok(()),
        }
    }
}

fn secret(name: &str, rule: &SecretRule, image: &str, whose: Whose<'_>) -> Result<(), Refusal> {
    let named = |key, what: &str, patterns: &Option<Vec<Pattern>>, text: Option<&str>| {
        let (Some(patterns), Some(text)) = (patterns, text) else {
            return Ok(());
        };
        if patterns.iter().any(|pattern| pattern.matches(text)) {
            return Ok(());
        }
        let asked = format!("secret {name} for {what} {}", clip(text, SHOWN));
        refuse(Rule::Secret(name.to_owned(), key), asked, list(patterns))
    };
    named("workflows", "workflow", &rule.workflows, whose.workflow)?;
    named("steps", "step", &rule.steps, whose.step)?;
    let Some(images) = rule.images.as_ref().filter(|_| !whose.image_is_open) else {
        return Ok(());
    };
    let parsed = ImageName::parse(image);
    if images
        .iter()
        .any(|pattern| allows(pattern, image, parsed.as_ref()))
    {
        return Ok(());
    }
    let asked = format!("secret {name} for image {}", clip(image, SHOWN));
    refuse(Rule::Secret(name.to_owned(), "images"), asked, list(images))
}

fn at_most<T: Ord + Display>(
    key: &'static str,
    what: &str,
    asked: T,
    most: Option<T>,
    unit: &str,
) -> Result<(), Refusal> {
    match most {
        Some(most) if asked > most => refuse(
            Rule::Policy(key),
            format!("{what}: {asked} {unit}"),
            format!("at most {most}"),
        ),
        _ => Ok(()),
    }
}

/// Something that no definition can ask for: a server that asks for it is broken or hostile.
///
/// # Errors
/// What is out of the language's bounds.
pub fn within_language(work: &Work) -> Result<(), String> {
    if work.timeout_ms == 0 {
        return Err("its timeout is zero".to_owned());
    }
    let bounds = [
        ("timeout", work.timeout_ms, limits::TIMEOUT_MAX_MS),
        ("grace", work.grace_ms, limits::GRACE_MAX_MS),
        ("disconnect", work.disconnect_ms, limits::DISCONNECT_MAX_MS),
    ];
    if let Some((what, asked, most)) = bounds.iter().find(|(_, asked, most)| asked > most) {
        return Err(format!(
            "its {what} is {asked} ms, the language has at most {most}"
        ));
    }
    match &work.body {
        WorkBody::Container(container) => {
            artifacts_within_language(container.artifacts.iter())?;
            files_within_language(&container.image, &container.files, &container.artifacts)?;
            services_within_language(&container.services)
        }
        WorkBody::Action(_) => Ok(()),
    }
}

fn files_within_language(
    image: &str,
    files: &BTreeMap<String, WorkFile>,
    artifacts: &BTreeMap<String, ArtifactDecl>,
) -> Result<(), String> {
    if files.len() > limits::FILES {
        return Err(format!(
            "it has {} files, the language has at most {}",
            files.len(),
            limits::FILES
        ));
    }
    for (path, file) in files {
        check_file_path(path, image == HOST_IMAGE).map_err(|why| format!("a file's path {why}"))?;
        if file.mode & !FILE_MODES != 0 {
            return Err(format!(
                "the mode of a file is {:o}, the language has at most {FILE_MODES:o}",
                file.mode
            ));
        }
        if let FileFrom::Artifact(artifact) = &file.from
            && !(is_artifact_name(&artifact.name) && is_sha256(&artifact.sha256))
        {
            return Err("a file is of an artifact that is none".to_owned());
        }
        // What is bound there is not what lies there: it would be kept empty.
        if let Some(kept) = artifacts
            .values()
            .find(|kept| is_within(path, &kept.path) || is_within(&kept.path, path))
        {
            return Err(format!(
                "the file {} would lie in what is kept, {}",
                clip(path, SHOWN),
                clip(&kept.path, SHOWN)
            ));
        }
        if let Some(other) = files
            .keys()
            .find(|other| *other != path && is_within(other, path))
        {
            return Err(format!(
                "the file {} would lie in the file {}",
                clip(other, SHOWN),
                clip(path, SHOWN)
            ));
        }
    }
    Ok(())
}

fn services_within_language(services: &BTreeMap<String, ServiceWork>) -> Result<(), String> {
    if services.len() > limits::SERVICES {
        let (asked, most) = (services.len(), limits::SERVICES);
        return Err(format!(
            "it has {asked} services, the language has at most {most}"
        ));
    }
    for (name, service) in services {
        let shown = clip(name, SHOWN);
        if !is_service_name(name) {
            return Err(format!("{shown:?} is no name of a service"));
        }
        if service.image.trim().is_empty() {
            return Err(format!("its service {shown} has no image"));
        }
        files_within_language(&service.image, &service.files, &BTreeMap::new())
            .map_err(|why| format!("its service {shown}: {why}"))?;
        if let Some(ready) = &service.ready {
            ready
                .within_language()
                .map_err(|why| format!("its service {shown} is to be found ready, but {why}"))?;
        }
    }
    Ok(())
}

fn refuse<T>(rule: Rule, asked: String, allows: String) -> Result<T, Refusal> {
    Err(Refusal { rule, asked, allows })
}

fn list<T: Display>(items: impl IntoIterator<Item = T>) -> String {
    const MOST: usize = 8;
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    match items.len() {
        0 => "none".to_owned(),
        n if n > MOST => format!("{} and {} more", items[..MOST].join(", "), n - MOST),
        _ => items.join(", "),
    }
}

//! A container's work as the runtime wants it, if this agent's policy allows it.

use runtime::{ContainerSpec, Image, Runtime, Secrets};
use types::{AttemptKey, ContainerWork, Failure, FailureKind, LeaseToken, Work, limits, text::clip};

use super::files;
use crate::context::Context;

/// Where secrets are files.
const SECRETS_DIR: &str = "/run/secrets";

/// Makes the spec.
///
/// # Errors
/// What this agent does not have or does not allow, with the way out.
pub(super) async fn make(
    context: &Context,
    runtime: &dyn Runtime,
    key: &AttemptKey,
    token: &LeaseToken,
    work: &Work,
    container: &ContainerWork,
) -> Result<(ContainerSpec, Secrets), Failure> {
    let secrets = secrets(context, container).await?;
    context
        .registries
        .ready(&container.image, &context.secrets)
        .await?;
    let mut env: Vec<(String, String)> = container.env.clone().into_iter().collect();
    env.extend(ours(context, key, token, !container.secret_files.is_empty()));
    let spec = ContainerSpec {
        id: token.to_string(),
        image: Image::from_reference(&container.image),
        pull: container.pull,
        argv: container.argv.clone(),
        env,
        secret_files: container.secret_files.clone(),
        files: files::of(container),
        workdir: container.workdir.clone(),
        user: container.user,
        users: context.policy.users.clone(),
        memory_bytes: container.resources.memory_bytes,
        pids: container.resources.pids,
        cpu_millis: container
            .resources
            .cpu_millis
            .or(context.policy.limits.cpu_millis),
        tmp_bytes: context.tmp_bytes.min(container.resources.memory_bytes / 4),
        network: container.network,
        host_view: container.host_view.clone(),
        timeout_ms: work.timeout_ms,
        grace_ms: work.grace_ms,
        log_cap_bytes: limits::LOG_STREAM_BYTES,
    };
    if let Some(why) = runtime.refuses(&spec) {
        let message = format!("agent {} cannot run this: {why}", context.name);
        return Err(Failure::new(FailureKind::Refused, message));
    }
    Ok((spec, secrets))
}

async fn secrets(context: &Context, container: &ContainerWork) -> Result<Secrets, Failure> {
    let mut secrets = Vec::with_capacity(container.secrets.len());
    for (variable, name) in &container.secrets {
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

/// What every step is told of itself. The token lets a target fence: it is used for one start only.
fn ours(context: &Context, key: &AttemptKey, token: &LeaseToken, has_files: bool) -> Vec<(String, String)> {
    let mut env = vec![
        ("FIREHALL_RUN_ID", key.run.to_string()),
        ("FIREHALL_STEP", key.step.clone()),
        ("FIREHALL_ATTEMPT", key.attempt.to_string()),
        ("FIREHALL_TOKEN", token.to_string()),
        ("FIREHALL_AGENT", context.name.clone()),
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

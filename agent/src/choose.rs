//! Which runtimes this agent has, found out by trying.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use docker::{Credentials, Docker, Limits, Logins, Registries, Settings};
use runtime::{Native, Runtime};
use types::AgentId;

use crate::{
    Config, RuntimeChoice,
    data_dir::{self, DataDir},
    error::{AgentError, tried},
    file::RegistryLogin,
    runtimes::{InCare, Runtimes, Usable},
    secrets::Secrets,
};

/// What runs containers, or why nothing does.
pub(crate) type Chosen = Result<Runtimes, String>;

/// One runtime, or why it does not work here.
type One = Result<Arc<dyn Runtime>, String>;

/// A trial step's limits.
const TRIAL: Limits = Limits {
    memory_bytes: 64 * 1024 * 1024,
    pids: 16,
};

/// Opens the runtimes that the configuration names, where a trial step shows that they work here.
///
/// # Errors
/// Steps of another runtime are in this data directory: only that one can look after them.
pub(crate) async fn runtimes(
    config: &Config,
    dir: &DataDir,
    id: &AgentId,
    secrets: &Arc<Secrets>,
) -> Result<Chosen, AgentError> {
    if config.shim.is_none() {
        return Ok(Err("it was started without a runtime".to_owned()));
    }
    let before = before(config, dir)?;
    let works = opened(config, dir, (id, secrets), &before.names).await;
    let mut usable = Vec::new();
    let mut why = Vec::new();
    for (name, one) in works {
        match one {
            Ok(runtime) => usable.push(Usable::new(runtime).await),
            Err(error) => why.push((name, error)),
        }
    }
    let Some(chosen) = Runtimes::new(usable) else {
        let why: Vec<String> = match why.as_slice() {
            [(_, only)] => vec![only.clone()],
            many => many.iter().map(|(name, why)| format!("{name}: {why}")).collect(),
        };
        return Ok(Err(why.join("; ")));
    };
    if config.choice == RuntimeChoice::Both {
        for (name, why) in &why {
            tracing::warn!(
                runtime = name,
                why,
                "one of both runtimes does not work here: steps that ask for it go elsewhere"
            );
        }
    }
    let stranded = before.names.iter().find(|before| chosen.named(before).is_none());
    if let Some(before) = stranded {
        return Err(AgentError::Config(format!(
            "steps of the {before} runtime are in this data directory: start the agent with --runtime {before} \
             until they have ended, then with --runtime {}",
            config.choice
        )));
    }
    let first = chosen
        .iter()
        .map(|one| one.runtime.name())
        .next()
        .unwrap_or_default();
    before
        .settle(first)
        .map_err(tried("cannot write down whose the attempts are"))?;
    data_dir::write_durably(&dir.runtime(), first.as_bytes())
        .map_err(tried("cannot write down which runtime runs"))?;
    Ok(Ok(chosen))
}

/// The runtimes in question, in the order in which they are taken, each tried.
async fn opened(
    config: &Config,
    dir: &DataDir,
    who: (&AgentId, &Arc<Secrets>),
    before: &BTreeSet<String>,
) -> Vec<(&'static str, One)> {
    let native = || async { ("native", native(config, dir).await) };
    let docker = || async { ("docker", docker(config, dir, who).await) };
    // What runs already is looked after.
    let runs = |name| before.contains(name);
    match config.choice {
        RuntimeChoice::Native => vec![native().await],
        RuntimeChoice::Docker => vec![docker().await],
        RuntimeChoice::Both => vec![native().await, docker().await],
        RuntimeChoice::Auto if runs("native") && runs("docker") => vec![native().await, docker().await],
        RuntimeChoice::Auto if runs("docker") => vec![docker().await],
        RuntimeChoice::Auto => match native().await {
            works @ (_, Ok(_)) => vec![works],
            fails if runs("native") => vec![fails],
            fails => vec![fails, docker().await],
        },
    }
}

/// Which runtimes the attempts belong to that lie in the data directory.
fn before(config: &Config, dir: &DataDir) -> Result<InCare, AgentError> {
    let noted = || match fs_err::read_to_string(dir.runtime()) {
        // A host that lost its power before this reached its disk has lost the containers too: any answer does.
        Ok(text) if text.is_empty() => Ok(match config.choice {
            RuntimeChoice::Docker => "docker".to_owned(),
            RuntimeChoice::Native | RuntimeChoice::Auto | RuntimeChoice::Both => "native".to_owned(),
        }),
        // Written by a version that had the native one only.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok("native".to_owned()),
        read => read,
    };
    let leases = dir.leases().map_err(tried("cannot look for attempts"))?;
    InCare::of(leases.iter().map(|token| dir.attempt(token)), noted)
        .map_err(tried("cannot find out which runtime ran before"))
}

/// The logins of the agent's file, with passwords as they are when an image is fetched.
struct Own {
    registries: BTreeMap<String, RegistryLogin>,
    secrets: Arc<Secrets>,
}

#[async_trait]
impl Logins for Own {
    async fn of(&self, registry: &str) -> Result<Option<Credentials>, String> {
        let Some(login) = self.registries.get(registry) else {
            return Ok(None);
        };
        let password = self
            .secrets
            .get(&login.password)
            .await
            .map_err(|error| error.to_string())?;
        Ok(Some(Credentials {
            username: login.username.clone(),
            password,
        }))
    }
}

async fn native(config: &Config, dir: &DataDir) -> One {
    let Some(shim) = &config.shim else {
        return Err("it was started without a runtime".to_owned());
    };
    let support = Native::probe(&dir.native(), shim.clone())
        .await
        .map_err(|error| error.to_string())?;
    tracing::info!(kernel = support.kernel, cgroups = support.cgroups, took = ?support.took, "native runtime works");
    if let Some(limits) = support.looser {
        tracing::warn!(
            limits,
            "this agent is not root and has no cgroups: steps are not held to limits as a whole"
        );
    }
    for cannot in &support.cannot {
        tracing::warn!(
            what = cannot.what,
            why = cannot.why,
            "steps that ask for this are refused here"
        );
    }
    let native = Native::open(&dir.native(), shim.clone()).map_err(|error| error.to_string())?;
    sweep_trials(&native, &dir.native()).await;
    let store = images::Store::open(&dir.images()).map_err(|error| error.to_string())?;
    let images = images::Images::new(store, config.registries.clone());
    Ok(Arc::new(native.with_images(Arc::new(images))))
}

async fn docker(config: &Config, dir: &DataDir, (id, secrets): (&AgentId, &Arc<Secrets>)) -> One {
    let host = match &config.docker_host {
        Some(host) => host.clone(),
        None => docker::Host::find().map_err(|error| error.to_string())?,
    };
    let settings = Settings {
        state: dir.docker(),
        // By this name, so an agent whose file was replaced by an upgrade goes on with its own version.
        program: PathBuf::from("/proc/self/exe"),
        owner: id.to_string(),
        registries: Registries {
            own: Some(Arc::new(Own {
                registries: config.file.registries.clone(),
                secrets: Arc::clone(secrets),
            })),
            docker_config: config.registries.credentials.clone(),
        },
    };
    let docker = Docker::connect(host.clone(), settings)
        .await
        .map_err(|error| error.to_string())?;
    sweep_trials(&docker, &dir.docker()).await;
    let seen = docker::probe(&docker, &dir.docker(), "true", TRIAL).await?;
    tracing::info!(%host, version = docker.version(), took = ?seen.took, "docker runtime works");
    Ok(Arc::new(docker))
}

/// Left by an agent that was killed during its trial step.
async fn sweep_trials(runtime: &dyn Runtime, state: &Path) {
    let trials = match fs_err::read_dir(state) {
        Ok(entries) => entries,
        Err(error) => {
            tracing::debug!(%error, "cannot look for trial steps");
            return;
        }
    };
    for trial in trials
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("probe-"))
    {
        if let Err(error) = runtime.remove(&trial.path()).await {
            tracing::debug!(%error, "a trial step cannot be removed; the next start tries again");
        }
    }
}

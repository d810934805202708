//! `firehall server`

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, time::Duration};

use ::server::{
    Artifacts, Credentials, Keep, Place,
    store::sqlite::{SqliteOptions, SqliteStore},
};
use clap::Args;
use types::Secret;

use crate::{
    entry,
    exit::{Done, Exit, Fault},
    out,
    process::{self, Lifetime},
    telemetry::{self, LogArgs},
};

/// Secrets of a bucket.
const AWS: [&str; 3] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];

/// Run the control plane.
#[derive(Debug, Args)]
#[command(
    after_long_help = "It listens on loopback without TLS; --insecure lifts the former. The first line on standard output says where it listens.
TERM and Ctrl-C end it; runs go on when it is started again.

Examples:
  firehall server --data-dir /var/lib/firehall
  firehall server --data-dir d --webhook-secret-env FIREHALL_WEBHOOK_SECRET --public-host firehall.example.com
  firehall server --print-config"
)]
pub(crate) struct ServerArgs {
    /// Where to listen; beyond loopback only with --insecure
    #[arg(
        long,
        env = "FIREHALL_LISTEN",
        default_value = "127.0.0.1:7911",
        value_name = "ADDR"
    )]
    listen: SocketAddr,
    /// Where the store lives; made when it is not there
    #[arg(long, env = "FIREHALL_DATA_DIR", value_name = "DIR")]
    data_dir: PathBuf,
    /// Where artifacts of steps are kept: a directory, made when it is not there, or s3://BUCKET/PREFIX, with credentials
    /// from AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION and AWS_ENDPOINT_URL; `artifacts` in the data directory when
    /// not given
    #[arg(long, env = "FIREHALL_ARTIFACTS", value_name = "DIR|S3-URL")]
    artifacts: Option<Place>,
    /// Remove an artifact's bytes this long after they were stored, once its run has ended: `30d`, `48h`. The history keeps its
    /// name, size and sum. Without it they stay
    #[arg(long, env = "FIREHALL_ARTIFACTS_MAX_AGE", value_name = "DURATION", value_parser = age)]
    artifacts_max_age: Option<Duration>,
    /// Remove the bytes of what was stored longest ago while all artifacts have more: `200GiB`. Those of live runs stay in any case
    #[arg(long, env = "FIREHALL_ARTIFACTS_MAX_BYTES", value_name = "SIZE", value_parser = size)]
    artifacts_max_bytes: Option<Size>,
    /// A host name under which a reverse proxy passes requests on; on loopback all others but localhost and addresses
    /// are refused. Repeatable
    #[arg(
        long = "public-host",
        env = "FIREHALL_PUBLIC_HOST",
        value_delimiter = ',',
        value_name = "NAME"
    )]
    public_hosts: Vec<String>,
    /// Listen beyond loopback without TLS
    // Not a plain switch: `--insecure=false` takes back what a file says.
    #[arg(
        long,
        env = "FIREHALL_INSECURE",
        action = clap::ArgAction::Set,
        num_args = 0..=1,
        require_equals = true,
        default_value_t = false,
        default_missing_value = "true",
        hide_possible_values = true,
        value_name = "BOOL"
    )]
    insecure: bool,
    /// The environment variable that holds the bearer secret of webhooks
    #[arg(long, env = "FIREHALL_WEBHOOK_SECRET_ENV", value_name = "NAME")]
    webhook_secret_env: Option<String>,
    #[command(flatten)]
    log: LogArgs,
    #[command(flatten)]
    lifetime: Lifetime,
}

/// Runs before any thread: the webhooks' secret leaves the environment by executing this binary again.
pub(crate) fn main(args: ServerArgs) -> Done {
    let webhook = args.webhook_secret_env.as_deref();
    let mut secrets = secrets(webhook, matches!(args.artifacts, Some(Place::S3 { .. })))?;
    let webhook = match webhook {
        Some(name) => Some(set(name, secrets.remove(name))?),
        None => None,
    };
    entry::block_on(serve(args, webhook, secrets))
}

async fn serve(args: ServerArgs, webhook_secret: Option<Secret>, secrets: BTreeMap<String, Secret>) -> Done {
    telemetry::init(&args.log)?;
    make_private(&args.data_dir)?;
    let artifacts = artifacts(args.artifacts, &args.data_dir, secrets)?.keeping(Keep {
        age: args.artifacts_max_age,
        bytes: args.artifacts_max_bytes.map(|size| size.0),
    });
    let config = ::server::Config {
        listen: args.listen,
        insecure: args.insecure,
        webhook_secret,
        catalogue: ::actions::Registry::builtin().catalogue(),
        seed: Vec::new(),
        healthy_with_agents: 0,
        artifacts: Some(artifacts),
        public_hosts: args.public_hosts,
        black_box: Some(args.data_dir.clone()),
    };
    let store = open(&args.data_dir).await?;
    let shutdown = process::shutdown_on_signals(args.lifetime)?;
    let told = |address| {
        if let Err(fault) = out::line(&process::listening(address)) {
            tracing::warn!("{fault}");
        }
        node::notify::ready(&process::listening(address));
    };
    ::server::run(config, store, shutdown, told)
        .await
        .map_err(fault)?;
    Ok(Exit::Succeeded)
}

/// A refusal of what was asked for is a usage error; the rest is a failure.
pub(crate) fn fault(error: ::server::ServerError) -> Fault {
    use ::server::ServerError as E;
    let message = error.to_string();
    match error {
        E::NotLoopback(_) | E::Seed { .. } => Fault::usage(message),
        E::Listen { .. } | E::Store(_) | E::Broken(_) | E::Transport(_) => Fault::failed(message),
    }
}

/// Opens the store of a data directory, which only its owner may read.
pub(crate) async fn open(data_dir: &std::path::Path) -> Result<::server::store::SharedStore, Fault> {
    make_private(data_dir)?;
    let store = SqliteStore::open(data_dir, SqliteOptions::default()).await;
    Ok(std::sync::Arc::new(
        store.map_err(|error| Fault::failed(error.to_string()))?,
    ))
}

/// Makes a directory 0700; one that is there is left as it is.
pub(crate) fn make_private(dir: &std::path::Path) -> Result<(), Fault> {
    use std::os::unix::fs::DirBuilderExt;
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.map_err(|error| Fault::failed(format!("cannot make {}: {error}", dir.display())))
}

/// As in an agent's file: `14d`, `48h`.
fn age(text: &str) -> Result<Duration, String> {
    let ms = types::units::duration(text).filter(|ms| *ms > 0);
    ms.map(Duration::from_millis)
        .ok_or_else(|| "expected a duration such as 14d, 48h or 30m".to_owned())
}

/// Bytes as people write them: a text also in a file, never a bare number.
#[derive(Debug, Clone, Copy)]
struct Size(u64);

fn size(text: &str) -> Result<Size, String> {
    types::units::size(text)
        .map(Size)
        .ok_or_else(|| "expected a size such as 500MiB or 200GiB".to_owned())
}

/// Opens the place for artifacts, by default in the data directory.
pub(crate) fn artifacts(
    place: Option<Place>,
    data_dir: &std::path::Path,
    mut secrets: BTreeMap<String, Secret>,
) -> Result<Artifacts, Fault> {
    let place = place.unwrap_or_else(|| Place::Directory(data_dir.join("artifacts")));
    let text = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let credentials = Credentials {
        key: secrets.remove(AWS[0]),
        secret: secrets.remove(AWS[1]),
        session: secrets.remove(AWS[2]),
        region: text("AWS_REGION").or_else(|| text("AWS_DEFAULT_REGION")),
        endpoint: text("AWS_ENDPOINT_URL_S3").or_else(|| text("AWS_ENDPOINT_URL")),
    };
    Artifacts::open(&place, data_dir, &credentials).map_err(|error| Fault::failed(error.to_string()))
}

/// What the server takes out of its environment.
fn secrets(webhook: Option<&str>, s3: bool) -> Result<BTreeMap<String, Secret>, Fault> {
    let aws = AWS.iter().copied().filter(|_| s3);
    let names: Vec<&str> = webhook.into_iter().chain(aws).collect();
    ::agent::hygiene::take_secrets(&names).map_err(|error| {
        Fault::failed(format!(
            "the secret cannot be taken from the environment: {error}"
        ))
    })
}

fn set(name: &str, secret: Option<Secret>) -> Result<Secret, Fault> {
    match secret {
        Some(secret) if !secret.expose().is_empty() => Ok(secret),
        _ => Err(Fault::usage(format!(
            "--webhook-secret-env {name}: that variable is unset, empty or not UTF-8"
        ))),
    }
}

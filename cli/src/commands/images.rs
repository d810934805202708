//! `firehall images`: what an agent's native runtime keeps.

use std::{path::PathBuf, time::Duration};

use ::images::{Access, Images, Keep, Listed, Store, docker_config};
use clap::{Args, Subcommand};
use serde_json::json;

use crate::{
    args::Form,
    exit::{Done, Exit, Fault},
    out::{self, Format},
    table, text,
};

/// Images of an agent's native runtime, on this host.
#[derive(Debug, Args)]
#[command(
    after_long_help = "They lie in `images` below the agent's data directory; the agent may run meanwhile.

Examples:
  firehall images ls --data-dir /var/lib/firehall-agent
  firehall images load tools.tar --data-dir /var/lib/firehall-agent
  firehall images pull alpine:3.22 --data-dir /var/lib/firehall-agent
  firehall images prune --all --data-dir /var/lib/firehall-agent

With -o json: `ls`, `load` and `pull` print an array of {reference, digest, bytes}, `ls` with in_use and unused_seconds; `prune`
prints {removed, bytes}."
)]
pub(crate) struct ImagesArgs {
    #[command(subcommand)]
    command: Which,
}

#[derive(Debug, Args)]
struct Place {
    /// The agent's own directory
    #[arg(long, env = "FIREHALL_DATA_DIR", value_name = "DIR")]
    data_dir: PathBuf,
    #[command(flatten)]
    form: Form,
}

#[derive(Debug, Subcommand)]
enum Which {
    /// List images, the last used first
    Ls(Place),
    /// Take the images of an archive (`docker save`, `podman save`, an OCI archive), without a registry
    Load {
        /// The archive; it may be compressed
        archive: PathBuf,
        /// A name for its only image, in place of the archive's own
        #[arg(long, value_name = "REFERENCE")]
        name: Option<String>,
        #[command(flatten)]
        place: Place,
    },
    /// Fetch an image before a step asks for it
    Pull {
        /// The image: `alpine:3.22`, `registry.example.com/team/tool@sha256:…`
        reference: String,
        /// Credentials for registries, as `docker login` writes them; `~/.docker/config.json` when not given
        #[arg(long, env = "FIREHALL_REGISTRY_CONFIG", value_name = "FILE")]
        registry_config: Option<PathBuf>,
        /// A registry that is reached without TLS; one on this host always is. Repeatable
        #[arg(
            long,
            env = "FIREHALL_PLAIN_HTTP",
            value_delimiter = ',',
            value_name = "HOST[:PORT]"
        )]
        plain_http: Vec<String>,
        #[command(flatten)]
        place: Place,
    },
    /// Remove images that nothing uses: old ones and what is too much, or all
    Prune {
        /// All that no step runs on in this moment
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        place: Place,
    },
}

pub(crate) async fn main(args: ImagesArgs) -> Done {
    match args.command {
        Which::Ls(place) => list(&place),
        Which::Load { archive, name, place } => {
            let images = place
                .store()?
                .load(&archive, name.as_deref())
                .await
                .map_err(failed)?;
            told(&place, &images)
        }
        Which::Pull {
            reference,
            registry_config,
            plain_http,
            place,
        } => {
            let access = Access {
                credentials: registry_config.or_else(docker_config),
                plain_http: plain_http.into_iter().collect(),
                ..Access::default()
            };
            let images = Images::new(place.store()?, access);
            let (image, _lock) = images
                .ensure(&reference, types::Pull::Always)
                .await
                .map_err(failed)?;
            told(&place, &[image])
        }
        Which::Prune { all, place } => prune(&place, all),
    }
}

impl Place {
    fn store(&self) -> Result<Store, Fault> {
        Store::open(&self.data_dir.join("images")).map_err(failed)
    }
}

fn failed(error: ::images::ImageError) -> Fault {
    Fault::failed(text::line(&error.to_string()))
}

fn told(place: &Place, images: &[::images::Image]) -> Done {
    if place.form.output == Format::Json {
        let views: Vec<_> = images
            .iter()
            .map(|image| json!({ "reference": image.reference, "digest": image.digest.as_str(), "bytes": image.bytes }))
            .collect();
        out::json(&views)?;
        return Ok(Exit::Succeeded);
    }
    for image in images {
        out::line(&format!("{}  {}", text::line(&image.reference), image.digest))?;
    }
    Ok(Exit::Succeeded)
}

fn list(place: &Place) -> Done {
    let images = place.store()?.list().map_err(failed)?;
    if place.form.output == Format::Json {
        let views: Vec<_> = images
            .iter()
            .map(|image| {
                json!({
                    "reference": image.reference, "digest": image.digest.as_str(), "bytes": image.bytes,
                    "in_use": image.in_use, "unused_seconds": unused(image).as_secs(),
                })
            })
            .collect();
        out::json(&views)?;
        return Ok(Exit::Succeeded);
    }
    if images.is_empty() {
        out::line("no images: they come with the first step that needs one, or by `firehall images load`")?;
        return Ok(Exit::Succeeded);
    }
    let row = |image: &Listed| {
        let used = if image.in_use {
            "now".to_owned()
        } else {
            format!("{} ago", since(unused(image)))
        };
        vec![
            image.reference.clone(),
            image.digest.as_str().chars().take(19).collect(),
            format!("{} MiB", image.bytes.div_ceil(1024 * 1024)),
            used,
        ]
    };
    let rows: Vec<Vec<String>> = images.iter().map(row).collect();
    for line in table::layout(&["IMAGE", "DIGEST", "SIZE", "USED"], &rows) {
        out::line(&line)?;
    }
    Ok(Exit::Succeeded)
}

fn unused(image: &Listed) -> Duration {
    image.used.elapsed().unwrap_or_default()
}

/// In the largest whole unit.
fn since(age: Duration) -> String {
    let seconds = age.as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..86_400 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

fn prune(place: &Place, all: bool) -> Done {
    let keep = if all {
        Keep {
            bytes: 0,
            age: Duration::ZERO,
        }
    } else {
        Keep::default()
    };
    let Some(pruned) = place.store()?.prune(keep).map_err(failed)? else {
        return Err(Fault::failed(
            "images are being fetched or loaded in this moment; try again when that is over",
        ));
    };
    if place.form.output == Format::Json {
        out::json(&json!({ "removed": pruned.names, "bytes": pruned.bytes }))?;
        return Ok(Exit::Succeeded);
    }
    for name in &pruned.names {
        out::line(&format!("removed {}", text::line(name)))?;
    }
    out::line(&format!("{} MiB are free again", pruned.bytes / (1024 * 1024)))?;
    Ok(Exit::Succeeded)
}

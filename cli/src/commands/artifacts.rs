//! `firehall artifacts RUN`, `firehall artifacts get RUN STEP NAME`

use std::{
    fs::File,
    io::{self, Write},
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use sdk::{ArtifactOf, ArtifactView};

use crate::{
    args::{Connection, Remote},
    exit::{Done, Exit, Fault},
    out, table, text,
};

const HEADING: [&str; 5] = ["STEP", "NAME", "BYTES", "TYPE", "SHA256"];

/// List what the steps of a run left, or get one of them.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_long_help = "A step's `artifacts` say what is kept of it. What is got is held against its sum; a directory is a tar archive.

Examples:
  firehall artifacts run_01jx…
  firehall artifacts get run_01jx… dump heap               to the file `heap`
  firehall artifacts get run_01jx… dump heap -o /tmp/heap --force
  firehall artifacts get run_01jx… dump logs -o - | tar -t

With -o json: an array of {step, index, attempt, name, bytes, sha256, media_type, removed_at}; `index` only in a fan-out,
`attempt` 0 for what was taken over from an earlier run, `removed_at` only when the server's bounds took its bytes."
)]
pub(crate) struct ArtifactsArgs {
    #[command(subcommand)]
    command: Option<Which>,
    /// The run's id
    #[arg(required = true)]
    run: Option<String>,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, Subcommand)]
enum Which {
    /// Get one artifact
    Get(GetArgs),
}

#[derive(Debug, Args)]
struct GetArgs {
    #[command(flatten)]
    at: Connection,
    /// The run's id
    run: String,
    /// The step
    step: String,
    /// The artifact's name
    name: String,
    /// Where to write it; `-` for standard output. The artifact's name here when not given, with .tar for a directory
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Take the place of a file that is there
    #[arg(long)]
    force: bool,
    /// The try, from 1; the newest that left it when not given
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    attempt: Option<u32>,
    /// The item of a fan-out, from 0
    #[arg(long)]
    index: Option<u32>,
}

pub(crate) async fn main(args: ArtifactsArgs) -> Done {
    match (args.command, args.run) {
        (Some(Which::Get(args)), _) => get(args).await,
        (None, Some(run)) => list(&args.remote, &run).await,
        (None, None) => Err(Fault::usage("which run?")),
    }
}

async fn list(remote: &Remote, run: &str) -> Done {
    let artifacts = remote.connect().await?.artifacts(run).await?;
    if remote.json() {
        out::json(&artifacts)?;
        return Ok(Exit::Succeeded);
    }
    if artifacts.is_empty() {
        out::note("the run left no artifacts");
        return Ok(Exit::Succeeded);
    }
    let rows: Vec<Vec<String>> = artifacts.iter().map(row).collect();
    for line in table::layout(&HEADING, &rows) {
        out::line(&line)?;
    }
    Ok(Exit::Succeeded)
}

fn row(artifact: &ArtifactView) -> Vec<String> {
    let index = artifact.index.map(|index| format!("[{index}]"));
    let attempt = (artifact.attempt > 1).then(|| format!("#{}", artifact.attempt));
    vec![
        format!(
            "{}{}{}",
            artifact.step,
            index.unwrap_or_default(),
            attempt.unwrap_or_default()
        ),
        artifact.name.clone(),
        match artifact.removed_at {
            Some(at) => format!("{} (removed {})", artifact.bytes, sdk::rfc3339(at)),
            None => artifact.bytes.to_string(),
        },
        artifact.media_type.clone(),
        artifact.sha256.clone(),
    ]
}

async fn get(args: GetArgs) -> Done {
    let client = args.at.connect().await?;
    let of = ArtifactOf {
        run: args.run,
        step: args.step,
        index: args.index,
        attempt: args.attempt.unwrap_or(0),
        name: args.name,
    };
    if args.output.as_deref() == Some(Path::new("-")) {
        client.artifact(&of, out::bytes).await?;
        return Ok(Exit::Succeeded);
    }
    let path = match args.output {
        Some(path) => path,
        None => name_here(&client, &of).await?,
    };
    let mut file = Fresh::beside(&path, args.force)?;
    let got = tokio::select! {
        got = client.artifact(&of, |data| file.write(data)) => got?,
        _ = tokio::signal::ctrl_c() => return Err(Fault::new(Exit::Interrupted, "")),
    };
    file.keep()?;
    out::note(&format!(
        "{}: {} bytes, sha256 {}",
        text::line(&path.display().to_string()),
        got.bytes,
        got.sha256
    ));
    Ok(Exit::Succeeded)
}

/// Its name, which is a plain word, in this directory.
async fn name_here(client: &sdk::Client, of: &ArtifactOf) -> Result<PathBuf, Fault> {
    if !types::is_artifact_name(&of.name) {
        return Err(Fault::usage(format!("{:?} is no artifact's name", of.name)));
    }
    let end = match client.artifact_view(of).await?.media_type.as_str() {
        types::TAR => ".tar",
        _ => "",
    };
    Ok(PathBuf::from(format!("{}{end}", of.name)))
}

/// A file that appears under its name when it is whole.
struct Fresh {
    path: PathBuf,
    part: PathBuf,
    file: File,
    force: bool,
    kept: bool,
}

impl Fresh {
    fn beside(path: &Path, force: bool) -> Result<Self, Fault> {
        if !force && path.symlink_metadata().is_ok() {
            return Err(there_already(path));
        }
        let mut part = path.as_os_str().to_owned();
        part.push(format!(".{}.part", std::process::id()));
        let part = PathBuf::from(part);
        let file = File::options()
            .write(true)
            .create_new(true)
            .open(&part)
            .map_err(|error| failed(&part, &error))?;
        Ok(Self {
            path: path.to_owned(),
            part,
            file,
            force,
            kept: false,
        })
    }

    fn write(&mut self, data: &[u8]) -> Result<(), Fault> {
        self.file
            .write_all(data)
            .map_err(|error| failed(&self.part, &error))
    }

    fn keep(&mut self) -> Result<(), Fault> {
        let moved = if self.force {
            std::fs::rename(&self.part, &self.path)
        } else {
            // Unlike a rename this never takes the place of what came there meanwhile.
            std::fs::hard_link(&self.part, &self.path)
        };
        match moved {
            Ok(()) => {
                self.kept = self.force;
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(there_already(&self.path)),
            Err(error) => Err(failed(&self.path, &error)),
        }
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        if !self.kept {
            // What is left of a part is nobody's.
            let _gone = std::fs::remove_file(&self.part);
        }
    }
}

fn failed(path: &Path, error: &io::Error) -> Fault {
    Fault::failed(format!("cannot write {}: {error}", path.display()))
}

fn there_already(path: &Path) -> Fault {
    Fault::failed(format!("{} is there already", path.display()))
        .hint("give another name with -o, or --force to take its place")
}

//! `firehall backup` and `firehall restore`

use std::path::{Path, PathBuf};

use ::server::store::sqlite::backup;
use clap::Args;

use crate::{
    args::Form,
    exit::{Done, Exit, Fault},
    out::{self, Format},
    text,
};

/// Copy a server's databases, also while it runs.
#[derive(Debug, Args)]
#[command(
    after_long_help = "On the server's host. Each database is copied as of one moment; the server goes on meanwhile. The copy is on disk when
this command ends. It holds what alerts and logs hold: it is made for its owner alone. Agents need no backup.

Artifacts are not in it. Copy their directory afterwards (`artifacts` in the data directory, or that of --artifacts): what the
databases name is there by then, and nothing in it is ever changed, so that `rsync` copies only what is new. A bucket has
its own backups.

Examples:
  firehall backup --data-dir /var/lib/firehall /var/backups/firehall-$(date +%F)"
)]
pub(crate) struct BackupArgs {
    /// The server's data directory
    #[arg(long, env = "FIREHALL_DATA_DIR", value_name = "DIR")]
    data_dir: PathBuf,
    /// Where to; made when it is not there
    #[arg(value_name = "TO")]
    to: PathBuf,
    #[command(flatten)]
    form: Form,
}

/// Make a server's data directory of a backup.
#[derive(Debug, Args)]
#[command(
    after_long_help = "Before the server is started there. Runs that were under way when the backup was made are ended as failed, for their
steps may have run since: nothing is started twice. Results that agents still bring of them are kept as late; what they run
of runs that the backup does not know is stopped.

Artifacts are not in a backup: put the copy of their directory to `artifacts` in the data directory, or give --artifacts to the
server as before. What is missing there stays in the histories by name, size and sum, and `firehall artifacts get` says so.

Examples:
  firehall restore --data-dir /var/lib/firehall /var/backups/firehall-2026-11-25"
)]
pub(crate) struct RestoreArgs {
    /// The new data directory; it must not hold databases
    #[arg(long, env = "FIREHALL_DATA_DIR", value_name = "DIR")]
    data_dir: PathBuf,
    /// The backup
    #[arg(value_name = "FROM")]
    from: PathBuf,
    #[command(flatten)]
    form: Form,
}

pub(crate) async fn backup(args: &BackupArgs) -> Done {
    let copied = backup::copy(&args.data_dir, &args.to).await.map_err(failed)?;
    if args.form.output == Format::Json {
        let files: Vec<_> = copied
            .iter()
            .map(|file| serde_json::json!({ "path": file.path, "bytes": file.bytes }))
            .collect();
        out::json(&serde_json::json!({ "files": files }))?;
    } else {
        for file in &copied {
            out::line(&format!("{}: {} bytes", file.path.display(), file.bytes))?;
        }
    }
    out::note(&beside(&args.data_dir));
    Ok(Exit::Succeeded)
}

/// Whether there is more to copy. Where artifacts are is the running server's to know; the usual place can be looked at.
fn beside(data_dir: &Path) -> String {
    let usual = data_dir.join("artifacts");
    if usual.is_dir() {
        format!(
            "artifacts of steps are not in it: copy {} too",
            text::line(&usual.display().to_string())
        )
    } else {
        "artifacts of steps are not in it: copy the directory of --artifacts too; a bucket has its own backups".to_owned()
    }
}

pub(crate) async fn restore(args: &RestoreArgs) -> Done {
    let restored = ::server::restore(&args.from, &args.data_dir)
        .await
        .map_err(failed)?;
    if args.form.output == Format::Json {
        let unread: Vec<_> = restored
            .unread
            .iter()
            .map(|(run, why)| serde_json::json!({ "run": run, "why": why }))
            .collect();
        out::json(&serde_json::json!({ "ended": restored.ended, "unread": unread }))?;
    } else {
        out::line(&format!(
            "{} holds what {} holds",
            args.data_dir.display(),
            args.from.display()
        ))?;
        for run in &restored.ended {
            out::line(&format!(
                "{run} was under way: it is ended as failed, `firehall rerun {run}` repeats it"
            ))?;
        }
        for (run, why) in &restored.unread {
            out::line(&format!(
                "{run} was under way and cannot be read ({why}): it is ended as failed"
            ))?;
        }
    }
    Ok(Exit::Succeeded)
}

fn failed(error: ::server::store::StoreError) -> Fault {
    Fault::failed(error.to_string())
}

//! From the command line to an exit code.

use std::{ffi::OsString, process::ExitCode};

use clap::FromArgMatches;
use node::config::Settings;
use types::text::is_unsafe;

use crate::{
    args::{self, Cli, Command},
    commands, config,
    exit::{Done, Exit, Fault},
    out::{self, Colour},
    text,
};

pub(crate) fn main() -> ExitCode {
    let argv: Vec<OsString> = std::env::args_os().collect();
    match start(&argv) {
        Ok(exit) => exit.into(),
        Err(fault) => {
            if !fault.message.is_empty() {
                out::note(&format!("firehall: {}", text::block(&fault.to_string())));
            }
            fault.exit.into()
        }
    }
}

fn start(argv: &[OsString]) -> Done {
    let command = args::command();
    let early = config::Early::of(&command, argv);
    let command = command.color(early.colour);
    // Help and version come without a configuration: they must be there when it is wrong.
    if let Err(error) = command.clone().try_get_matches_from(argv)
        && !error.use_stderr()
    {
        return refused(&error, None);
    }
    let files = config::load(&command, &early.files)?;
    if early.print {
        return config::print(&command, argv, &early.files, &files);
    }
    let matches = match config::lay(command.clone(), &files).try_get_matches_from(argv) {
        Ok(matches) => matches,
        Err(error) => {
            let variable = config::blame(&command, argv, &error);
            return refused(&error, variable.as_deref());
        }
    };
    let cli = Cli::from_arg_matches(&matches).map_err(|error| Fault::usage(error.to_string()))?;
    out::choose_colour(if cli.global.no_color {
        Colour::Never
    } else {
        cli.global.color
    });
    run(cli.command, &files)
}

/// Says what clap has to say: help and version were asked for and come on standard output.
pub(crate) fn refused(error: &clap::Error, variable: Option<&str>) -> Done {
    let code = if error.use_stderr() {
        Exit::Usage
    } else {
        Exit::Succeeded
    };
    let said = error.render().to_string();
    // It repeats what was given, which may be another's words.
    let steers = |c: char| c != '\n' && is_unsafe(c);
    if error.use_stderr() && said.contains(steers) {
        out::note(&text::block(&said));
    } else if error.print().is_err() {
        return Ok(Exit::Pipe);
    }
    if let Some(variable) = variable {
        out::note(&format!(
            "  the value is that of the environment variable {variable}"
        ));
    }
    Ok(code)
}

fn run(command: Command, files: &Settings) -> Done {
    // These have a life of their own before a runtime exists.
    let command = match command {
        Command::Agent(args) => return commands::agent::main(args, files),
        Command::Dev(args) => return commands::dev::main(args, files),
        Command::Doctor(args) => return commands::doctor::main(args, files),
        Command::Server(args) => return commands::server::main(args),
        other => other,
    };
    block_on(dispatch(command))
}

/// Runs a future to its end on the usual runtime.
pub(crate) fn block_on(future: impl Future<Output = Done>) -> Done {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Fault::failed(format!("no runtime: {error}")))?;
    let done = runtime.block_on(future);
    // A blocked read of standard input must not hold the process.
    runtime.shutdown_background();
    done
}

async fn dispatch(command: Command) -> Done {
    match command {
        Command::Check(args) => commands::check::main(&args),
        Command::New(args) => commands::new::main(args).await,
        Command::Plan(args) => commands::plan::main(args).await,
        Command::Compile(args) => commands::compile::main(&args),
        Command::Explain(args) => commands::explain::main(&args),
        Command::Run(args) => commands::run::main(args).await,
        Command::Runs(args) => commands::runs::main(args).await,
        Command::Show(args) => commands::show::main(args).await,
        Command::Watch(args) => commands::watch::main(args).await,
        Command::Logs(args) => commands::logs::main(args).await,
        Command::Artifacts(args) => Box::pin(commands::artifacts::main(args)).await,
        Command::Cancel(args) => commands::cancel::main(args).await,
        Command::Resolve(args) => commands::resolve::main(args).await,
        Command::Rerun(args) => commands::rerun::main(args).await,
        Command::Events(args) => commands::events::main(args).await,
        Command::Backup(args) => commands::backup::backup(&args).await,
        Command::Restore(args) => commands::backup::restore(&args).await,
        Command::Drain(args) => commands::drain::main(args).await,
        Command::Images(args) => commands::images::main(args).await,
        Command::Incident(args) => commands::incident::main(args).await,
        Command::Agents(args) => commands::agents::main(args).await,
        Command::Incidents(args) => commands::incidents::main(args).await,
        Command::Actions(args) => commands::actions::main(&args),
        Command::Workflows(args) => commands::workflows::main(args).await,
        Command::Put(args) => commands::put::main(args).await,
        Command::Completions(args) => commands::completions::main(&args),
        Command::Reference(args) => commands::reference::main(&args),
        Command::Sources(args) => commands::sources::main(args).await,
        Command::Emulator(args) => commands::emulator::main(args).await,
        Command::Demo(args) => Box::pin(commands::demo::main(args)).await,
        Command::Agent(_) | Command::Dev(_) | Command::Doctor(_) | Command::Server(_) => {
            Err(Fault::failed("dispatched before"))
        }
    }
}

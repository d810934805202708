//! `firehall sources`: how alerts come in, and what is understood of one.

mod list;
mod test;

use clap::{Args, Subcommand, ValueEnum};
use incident::Source;

use crate::{
    args::Remote,
    exit::{Done, Exit},
    out,
};

/// How alerts come in: by vendor, as a server counts them, and what is understood of a payload.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    arg_required_else_help = true,
    after_help = "Examples:
  firehall sources datadog --template              what to paste into Datadog's webhook
  firehall sources test alert.json                 what is understood of a payload, and what it would start
  firehall sources list                            what came in at a server"
)]
pub(crate) struct SourcesArgs {
    #[command(subcommand)]
    command: Option<SourcesCommand>,
    /// The vendor
    #[arg(value_enum)]
    vendor: Option<Vendor>,
    /// Print the payload's template, to be pasted into the vendor's webhook
    #[arg(long, requires = "vendor")]
    template: bool,
}

#[derive(Debug, Subcommand)]
enum SourcesCommand {
    /// Say what is understood of a payload, what is not, and which workflows it would start
    Test(test::TestArgs),
    /// List the ways in, with what came in at a server
    List(list::ListArgs),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Vendor {
    /// Datadog's webhooks integration
    Datadog,
    /// Any other sender
    Generic,
}

impl Vendor {
    const fn source(self) -> Source {
        match self {
            Self::Datadog => Source::Datadog,
            Self::Generic => Source::Generic,
        }
    }
}

const GENERIC: &str = r#"{
  "title": "required: what is wrong",
  "id": "optional: one id from trigger to recovery",
  "severity": "optional: critical, high, medium, low or info",
  "hosts": ["optional"],
  "tags": ["optional", "key:value"],
  "links": [{ "title": "optional", "url": "https://example.com/" }]
}"#;

pub(crate) async fn main(args: SourcesArgs) -> Done {
    match (args.command, args.vendor) {
        (Some(SourcesCommand::Test(args)), _) => test::main(args).await,
        (Some(SourcesCommand::List(args)), _) => list::main(args).await,
        (None, Some(vendor)) => describe(vendor, args.template),
        // clap shows the help in its place.
        (None, None) => Ok(Exit::Usage),
    }
}

fn describe(vendor: Vendor, template: bool) -> Done {
    if template {
        let template = match vendor {
            Vendor::Datadog => incident::datadog_template(),
            Vendor::Generic => GENERIC,
        };
        out::line(template.trim_end())?;
        return Ok(Exit::Succeeded);
    }
    let path = vendor.source().path();
    out::line(&format!("POST {path} with content type application/json"))?;
    out::line("a bearer secret is required when the server has --webhook-secret-env")?;
    out::line("`--template` prints the payload's form")?;
    out::line("`firehall sources test FILE` says what is understood of a payload")?;
    Ok(Exit::Succeeded)
}

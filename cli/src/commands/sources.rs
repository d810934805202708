//! `firehall sources VENDOR`

use clap::{Args, ValueEnum};
use incident::Source;

use crate::{
    exit::{Done, Exit},
    out,
};

/// How alerts come in.
#[derive(Debug, Args)]
pub(crate) struct SourcesArgs {
    /// The vendor
    #[arg(value_enum)]
    vendor: Vendor,
    /// Print the payload's template, to be pasted into the vendor's webhook
    #[arg(long)]
    template: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Vendor {
    /// Datadog's webhooks integration
    Datadog,
    /// Any other sender
    Generic,
}

const GENERIC: &str = r#"{
  "title": "required: what is wrong",
  "id": "optional: one id from trigger to recovery",
  "severity": "optional: critical, high, medium, low or info",
  "hosts": ["optional"],
  "tags": ["optional", "key:value"],
  "links": [{ "title": "optional", "url": "https://example.com/" }]
}"#;

pub(crate) fn main(args: &SourcesArgs) -> Done {
    let (source, template) = match args.vendor {
        Vendor::Datadog => (Source::Datadog, incident::datadog_template()),
        Vendor::Generic => (Source::Generic, GENERIC),
    };
    if args.template {
        out::line(template.trim_end())?;
    } else {
        out::line(&format!(
            "POST {} with content type application/json",
            source.path()
        ))?;
        out::line("a bearer secret is required when the server has --webhook-secret-env")?;
        out::line("`--template` prints the payload's form")?;
    }
    Ok(Exit::Succeeded)
}

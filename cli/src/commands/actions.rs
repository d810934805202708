//! `firehall actions`

use clap::Args;
use types::{Catalogue, Signature, Trust};

use crate::{
    exit::{Done, Exit, Fault},
    out,
};

/// List the built-in actions, or describe one.
#[derive(Debug, Args)]
pub(crate) struct ActionsArgs {
    /// Output for people or for programs
    #[arg(short, long, value_enum, default_value = "text")]
    output: out::Format,
    /// One action's name
    name: Option<String>,
}

pub(crate) fn main(args: &ActionsArgs) -> Done {
    let mut catalogue = ::actions::Registry::builtin().catalogue();
    if let Some(name) = &args.name {
        let Some(one) = catalogue.0.remove(name) else {
            let near = workflow::nearest(name, catalogue.0.keys().map(String::as_str));
            let hint = near.map_or("`firehall actions` lists them".to_owned(), |near| {
                format!("did you mean {near}?")
            });
            return Err(Fault::usage(format!("no action {name:?}")).hint(hint));
        };
        catalogue = Catalogue::new([one]);
    }
    if args.output == out::Format::Json {
        out::json(&catalogue)?;
        return Ok(Exit::Succeeded);
    }
    for signature in catalogue.0.values() {
        describe(signature)?;
    }
    Ok(Exit::Succeeded)
}

fn describe(signature: &Signature) -> Result<(), Fault> {
    out::line(&format!("{}  {}", signature.name, signature.doc))?;
    for (name, param) in &signature.params {
        let must = if param.required { "required" } else { "optional" };
        let trust = if param.takes == Trust::Trusted {
            ", trusted values only"
        } else {
            ""
        };
        out::line(&format!(
            "  with {name}: {} ({must}{trust})  {}",
            param.ty, param.doc
        ))?;
    }
    for (name, output) in &signature.outputs {
        let maybe = if output.optional { " (may be absent)" } else { "" };
        out::line(&format!("  gives {name}: {}{maybe}  {}", output.ty, output.doc))?;
    }
    if !signature.scopes.is_empty() || !signature.optional_scopes.is_empty() {
        let (must, may) = (signature.scopes.join(" "), signature.optional_scopes.join(" "));
        out::line(&format!(
            "  scopes {must}{}",
            if may.is_empty() {
                may
            } else {
                format!("; better with {may}")
            }
        ))?;
    }
    Ok(())
}

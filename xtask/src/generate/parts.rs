//! Parts of pages that people write: what stands between `<!-- written: NAME -->` and `<!-- end -->`.

use anyhow::{Context as _, Result};

use crate::sh;

/// A page with its parts written anew.
pub(super) fn page(name: &str, parts: &[(&str, String)]) -> Result<String> {
    let path = sh::root().join(name);
    let mut page = std::fs::read_to_string(&path).with_context(|| format!("cannot read {name}"))?;
    for (part, text) in parts {
        let begin = format!("<!-- written: {part} -->\n");
        let from = page
            .find(&begin)
            .with_context(|| format!("{name} has no {}", begin.trim_end()))?
            + begin.len();
        let length = page[from..]
            .find("<!-- end -->")
            .with_context(|| format!("{name}: {part} has no <!-- end -->"))?;
        page.replace_range(from..from + length, &format!("\n{}\n\n", text.trim_end()));
    }
    Ok(page)
}

/// The shipped runbook as a diagram, as `firehall compile` draws it.
pub(super) fn runbook() -> Result<String> {
    let drawn = sh::Cmd::new(sh::firehall())
        .args(["--no-config", "compile", "-o", "mermaid"])
        .args([sh::root().join("runbooks/incident-response.yaml")])
        .read()?;
    Ok(format!("```mermaid\n{}\n```", drawn.trim_end()))
}

//! Blocks of data: definitions compile (or are wrong as the page says), the rest parses.

use std::collections::BTreeSet;

use e2e::process;
use saphyr_parser::Parser;

use crate::markdown::{Block, Page};

/// What every block of a page must be, by its language; the complaints.
pub(crate) fn complaints(page: &Page) -> Vec<String> {
    let mut all = Vec::new();
    for block in &page.blocks {
        let language = block.fence.language.as_str();
        let judged = match language {
            "yaml" if is_definition(&block.text) => definition(page, block),
            "yaml" => yaml(&block.text),
            "json" => serde_json::from_str::<serde_json::Value>(&block.text)
                .map(drop)
                .map_err(|why| why.to_string()),
            "toml" => block
                .text
                .parse::<toml::Table>()
                .map(drop)
                .map_err(|why| why.to_string()),
            // It is run where it is saved under a name, and read all the same.
            "python" => python(&block.text),
            "sh" | "console" | "mermaid" | "text" | "" => Ok(()),
            other => Err(format!("nothing looks at blocks of {other:?}")),
        };
        let judged = match (block.fence.word("wrong"), language) {
            (Some(_), language) if language != "yaml" => Err("only definitions can be wrong".to_owned()),
            _ => judged,
        };
        all.extend(
            judged
                .err()
                .map(|why| format!("{}:{}: {why}", page.name, block.line)),
        );
    }
    all
}

fn is_definition(text: &str) -> bool {
    text.lines().any(|line| line.starts_with("steps:"))
}

fn yaml(text: &str) -> Result<(), String> {
    Parser::new_from_str(text).try_for_each(|event| event.map(drop).map_err(|why| why.to_string()))
}

fn python(text: &str) -> Result<(), String> {
    const READ: &str = "import ast, sys; ast.parse(sys.argv[1])";
    let said = process::finish(std::process::Command::new("python3").args(["-c", READ, text]));
    match said.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&said.stderr).into_owned()),
    }
}

/// Compiles it beside the page's other files; its codes must be those that the fence claims, none as a rule.
fn definition(page: &Page, block: &Block) -> Result<(), String> {
    let dir = tempfile::tempdir().unwrap();
    for other in &page.blocks {
        if let Some(name) = other.fence.word("file").filter(|name| name.contains('/')) {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, &other.text).unwrap();
        }
    }
    let file = dir.path().join("definition.yaml");
    std::fs::write(&file, &block.text).unwrap();
    let said = process::finish(process::firehall().arg("check").arg(&file));
    let said = String::from_utf8_lossy(&[said.stdout, said.stderr].concat()).into_owned();
    let codes = regex::Regex::new(r"\bFH\d{4}\b").unwrap();
    let found: BTreeSet<&str> = codes.find_iter(&said).map(|code| code.as_str()).collect();
    let wrong = block.fence.word("wrong").unwrap_or_default();
    let claimed: BTreeSet<&str> = wrong.split(',').filter(|code| !code.is_empty()).collect();
    if found == claimed {
        return Ok(());
    }
    Err(format!("the page claims {claimed:?}, the compiler says\n{said}"))
}

#[test]
fn wrong_data_is_found() {
    let complaints = |text: &str| complaints(&Page::parse("p", text)).len();
    assert_eq!(
        complaints("```json\n{\"a\": 1}\n```\n\n```toml\na = 1\n```\n\n```yaml\na: 1\n```\n"),
        0
    );
    assert_eq!(
        complaints("```json\n{\"a\": …}\n```\n\n```toml\na = \n```\n\n```yaml\na: [1\n```\n"),
        3
    );
    let definition = "name: w\nsteps:\n  s:\n    image: host\n    run: echo\n";
    assert_eq!(complaints(&format!("```yaml\n{definition}```\n")), 0);
    assert_eq!(complaints(&format!("```yaml\n{definition}    runn: x\n```\n")), 1);
    assert_eq!(
        complaints(&format!("```yaml wrong=FH0201\n{definition}    runn: x\n```\n")),
        0
    );
    assert_eq!(complaints(&format!("```yaml wrong=FH0201\n{definition}```\n")), 1);
    assert_eq!(complaints("```rust\nfn main() {}\n```\n"), 1);
}

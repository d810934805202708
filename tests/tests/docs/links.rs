//! Every relative link and every anchor leads somewhere.

use std::collections::BTreeMap;

use crate::{
    markdown::{Page, root},
    pages,
};

#[test]
fn every_link_leads_somewhere() {
    let pages: BTreeMap<String, Page> = pages::all()
        .into_iter()
        .map(|name| (name.clone(), Page::read(&name)))
        .collect();
    let mut broken = Vec::new();
    let mut followed = 0;
    for page in pages.values() {
        for (line, target) in &page.links {
            // What a reader's own server shows is looked at by the page's lines.
            if target.starts_with("https://") || target.starts_with("http://127.0.0.1:7911/") {
                continue;
            }
            followed += 1;
            if let Err(why) = follow(&pages, page, target) {
                broken.push(format!("{}:{line}: {target}: {why}", page.name));
            }
        }
    }
    assert!(followed > 50, "{followed} links");
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

fn follow(pages: &BTreeMap<String, Page>, from: &Page, target: &str) -> Result<(), String> {
    if target.contains(':') {
        return Err("neither https nor a file of the project".to_owned());
    }
    let (path, anchor) = target
        .split_once('#')
        .map_or((target, None), |(p, a)| (p, Some(a)));
    let name = if path.is_empty() {
        from.name.clone()
    } else {
        beside(&from.name, path)?
    };
    if !root().join(&name).exists() {
        return Err("no such file".to_owned());
    }
    let Some(anchor) = anchor else {
        return Ok(());
    };
    let page = pages.get(&name).ok_or("an anchor of what is no page")?;
    let there = page.anchors.iter().any(|one| one == anchor);
    there.then_some(()).ok_or_else(|| "no such heading".to_owned())
}

/// A link's path, from the root.
fn beside(page: &str, path: &str) -> Result<String, String> {
    let mut parts: Vec<&str> = page.split('/').collect();
    parts.pop();
    for part in path.split('/').filter(|part| !part.is_empty() && *part != ".") {
        if part == ".." {
            parts.pop().ok_or("it leaves the project")?;
        } else {
            parts.push(part);
        }
    }
    Ok(parts.join("/"))
}

//! A page as the tests see it: blocks, hidden lines, links, headings and inline code, each with its line.

use std::path::{Path, PathBuf};

use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag, TagEnd};

use crate::fence::Fence;

/// A fenced block.
#[derive(Debug, Clone)]
pub(crate) struct Block {
    /// Of its first line of text, from 1.
    pub(crate) line: usize,
    pub(crate) fence: Fence,
    pub(crate) text: String,
}

/// One page.
#[derive(Debug, Default)]
pub(crate) struct Page {
    /// Below the root of the project.
    pub(crate) name: String,
    pub(crate) blocks: Vec<Block>,
    /// Line and target.
    pub(crate) links: Vec<(usize, String)>,
    /// As GitHub makes anchors of them.
    pub(crate) anchors: Vec<String>,
    /// Line and text.
    pub(crate) inline: Vec<(usize, String)>,
}

/// The project's root.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_path_buf()
}

impl Page {
    /// Reads a page by its name below the root.
    pub(crate) fn read(name: &str) -> Self {
        let text = std::fs::read_to_string(root().join(name)).unwrap_or_else(|why| panic!("{name}: {why}"));
        Self::parse(name, &text)
    }

    pub(crate) fn parse(name: &str, text: &str) -> Self {
        let mut page = Self {
            name: name.to_owned(),
            ..Self::default()
        };
        let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH;
        let mut block: Option<Block> = None;
        let mut heading: Option<String> = None;
        let mut hidden: Option<(usize, String)> = None;
        for (event, range) in Parser::new_ext(text, options).into_offset_iter() {
            let line = 1 + text[..range.start].matches('\n').count();
            match event {
                Event::Start(Tag::CodeBlock(kind)) => {
                    let info = match kind {
                        CodeBlockKind::Fenced(info) => info.to_string(),
                        CodeBlockKind::Indented => panic!("{name}:{line}: a block without a fence"),
                    };
                    let fence = Fence::read(&info).unwrap_or_else(|why| panic!("{name}:{line}: {why}"));
                    block = Some(Block {
                        line: line + 1,
                        fence,
                        text: String::new(),
                    });
                }
                Event::End(TagEnd::CodeBlock) => page.blocks.extend(block.take()),
                Event::Start(Tag::Heading { level, .. }) if level <= HeadingLevel::H6 => {
                    heading = Some(String::new())
                }
                Event::End(TagEnd::Heading(_)) => {
                    page.anchors.extend(heading.take().map(|text| anchor(&text)))
                }
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    page.links.push((line, dest_url.to_string()));
                }
                Event::Start(Tag::HtmlBlock) => hidden = Some((line, String::new())),
                Event::Html(html) => {
                    if let Some((_, all)) = &mut hidden {
                        all.push_str(&html);
                    }
                }
                Event::End(TagEnd::HtmlBlock) => page.blocks.extend(hidden.take().and_then(hidden_lines)),
                Event::Text(piece) | Event::Code(piece) if heading.is_some() => {
                    heading.iter_mut().for_each(|all| all.push_str(&piece));
                }
                Event::Text(piece) => block.iter_mut().for_each(|block| block.text.push_str(&piece)),
                Event::Code(code) => page.inline.push((line, code.to_string())),
                _ => {}
            }
        }
        number_repeats(&mut page.anchors);
        page
    }
}

/// `<!-- run: LINE -->`, or `<!-- run WORDS`, lines and `-->`, as a block of shell.
fn hidden_lines((line, html): (usize, String)) -> Option<Block> {
    let inside = html.trim().strip_prefix("<!-- run")?.strip_suffix("-->")?;
    let (words, lines) = match inside.strip_prefix(':') {
        Some(lines) => ("", lines),
        None => inside
            .split_once('\n')
            .unwrap_or_else(|| panic!("line {line}: `<!-- run: …`")),
    };
    let fence = Fence::read(&format!("sh {words}")).unwrap_or_else(|why| panic!("line {line}: {why}"));
    let text = lines.trim().to_owned();
    Some(Block { line, fence, text })
}

/// As GitHub does: lower case, blanks become hyphens, what is neither letter, digit, hyphen nor underscore goes.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().chars().filter_map(|c| match c {
        ' ' => Some('-'),
        '-' | '_' => Some(c),
        c if c.is_alphanumeric() => Some(c),
        _ => None,
    });
    kept.flat_map(char::to_lowercase).collect()
}

fn number_repeats(anchors: &mut [String]) {
    for at in (1..anchors.len()).rev() {
        let before = anchors[..at].iter().filter(|one| **one == anchors[at]).count();
        if before > 0 {
            anchors[at] = format!("{}-{before}", anchors[at]);
        }
    }
}

#[test]
fn anchors_are_githubs() {
    let page = Page::parse(
        "p",
        "# What `run` can't do, yet\n\n## A\n\n## A\n\n### FH0101 the text\n",
    );
    assert_eq!(
        page.anchors,
        ["what-run-cant-do-yet", "a", "a-1", "fh0101-the-text"]
    );
}

#[test]
fn hidden_lines_are_run_in_their_place() {
    let page = Page::parse(
        "p",
        "```sh\none\n```\n\n<!-- run exit=2\ntwo\n-->\n\n<!-- a comment -->\n\n```sh\nthree\n```\n",
    );
    let texts: Vec<_> = page.blocks.iter().map(|block| block.text.trim()).collect();
    assert_eq!(texts, ["one", "two", "three"]);
    assert_eq!((page.blocks[1].fence.exit(), page.blocks[2].line), (2, 12));
}

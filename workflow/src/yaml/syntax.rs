//! What to do about a text that is no YAML, by the reader's words and what stands there.

/// The way out, where one is known. `start` is the byte at which reading stopped.
pub(super) fn way_out(info: &str, text: &str, start: usize) -> Option<&'static str> {
    let (before, after) = (text.get(..start)?, text.get(start..)?);
    let line = before.rsplit('\n').next().unwrap_or_default();
    let rest = after.lines().next().unwrap_or_default();
    if after.starts_with('\t') || info.contains("tabs") {
        return Some("indent with spaces; a tab does not count");
    }
    if info.contains("unprintable") {
        return Some(
            "remove this character; a definition is plain text, and inside \"…\" it is written as \\u0000",
        );
    }
    if info.contains("byte order mark") {
        return Some("remove this invisible character; it may stand at the beginning of the file only");
    }
    if line.contains("${{") || rest.starts_with("${{") {
        return Some(
            "an expression with `: `, ` #` or a quote at its start needs quotes around the whole value: \"${{ … }}\"",
        );
    }
    if rest.starts_with(['@', '`', '%']) {
        return Some("a text that begins with @, ` or % needs quotes");
    }
    if info.contains("mapping values are not allowed") {
        return Some(match line.trim_start().starts_with("run:") {
            true => {
                "a `: ` in a script would begin another key: write the script after `run: |` on its own lines"
            }
            false => "a text with `: ` in it needs quotes; otherwise look at the indentation of this line",
        });
    }
    if info.contains("unknown escape") {
        return Some("inside \"…\" a backslash is written \\\\; inside '…' it stands for itself");
    }
    if info.contains("quoted scalar") {
        return Some("close the text with the quote that begins it");
    }
    if info.contains("flow") {
        return Some("close what was opened, and put `, ` between its parts");
    }
    if info.contains("simple key") || info.contains("expected ':'") {
        return Some("a key ends with `: `; a text of several lines stands after `|`");
    }
    if info.contains("block mapping")
        || info.contains("block collection")
        || info.contains("invalid indentation")
    {
        return Some(
            "keys of one map begin in one column; look at the indentation of this line and those above",
        );
    }
    None
}

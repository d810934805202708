//! Tables for people: columns as wide as their widest cell, two spaces between, no borders.

use unicode_width::UnicodeWidthStr;

use crate::text;

/// Lays out rows under a heading. Cells are made harmless here.
pub(crate) fn layout(heading: &[&str], rows: &[Vec<String>]) -> Vec<String> {
    let rows: Vec<Vec<String>> = rows
        .iter()
        .map(|row| row.iter().map(|cell| text::fit(cell, 120)).collect())
        .collect();
    let widths: Vec<usize> = heading
        .iter()
        .enumerate()
        .map(|(column, title)| {
            let cells = rows
                .iter()
                .filter_map(|row| row.get(column))
                .map(|cell| cell.width());
            cells.chain([title.width()]).max().unwrap_or(0)
        })
        .collect();
    let line = |cells: Vec<&str>| {
        let padded: Vec<String> = cells
            .iter()
            .zip(&widths)
            .map(|(cell, width)| text::pad(cell, *width))
            .collect();
        padded.join("  ").trim_end().to_owned()
    };
    let head = line(heading.to_vec());
    let body = rows
        .iter()
        .map(|row| line(row.iter().map(String::as_str).collect()));
    std::iter::once(head).chain(body).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_align_and_cells_are_harmless() {
        let rows = [
            vec!["a".to_owned(), "long cell".to_owned()],
            vec!["日本\u{1b}[1m".to_owned(), "x".to_owned()],
        ];
        let lines = layout(&["NAME", "WHAT"], &rows);
        assert_eq!(lines[0], "NAME      WHAT");
        assert_eq!(lines[1], "a         long cell");
        assert_eq!(lines[2], "日本\u{fffd}[1m  x");
    }
}

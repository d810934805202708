//! Tables for people: columns as wide as their widest cell, two spaces between, no borders. Where a line has no room for
//! them, the widest columns are cut; where that is not enough, each row becomes a block of lines.

use unicode_width::UnicodeWidthStr;

use crate::{out, text};

/// Between two columns.
const GAP: usize = 2;
/// No column is cut below this, nor below its title.
const LEAST: usize = 8;
/// A cell is never wider, wherever it goes.
const MOST: usize = 200;

/// Lays out rows under a heading, as wide as the place that they go to. Cells are made harmless here.
pub(crate) fn layout(heading: &[&str], rows: &[Vec<String>]) -> Vec<String> {
    within(heading, rows, out::columns())
}

/// The same, for lines of at most this many columns.
fn within(heading: &[&str], rows: &[Vec<String>], columns: Option<usize>) -> Vec<String> {
    let rows: Vec<Vec<String>> = rows
        .iter()
        .map(|row| row.iter().map(|cell| text::fit(cell, MOST)).collect())
        .collect();
    let natural: Vec<usize> = heading
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
    match columns.map(|columns| shrunk(heading, &natural, columns)) {
        None => lines(heading, &rows, &natural),
        Some(Some(widths)) => lines(heading, &rows, &widths),
        Some(None) => blocks(heading, &rows, columns.unwrap_or(MOST)),
    }
}

/// Widths that fit: the widest column gives first. The first column is what people copy and stays whole. None when
/// there is no such thing.
fn shrunk(heading: &[&str], natural: &[usize], columns: usize) -> Option<Vec<usize>> {
    let mut widths = natural.to_vec();
    let gaps = GAP * widths.len().saturating_sub(1);
    let least = |column: usize| heading[column].width().max(LEAST);
    loop {
        if widths.iter().sum::<usize>() + gaps <= columns {
            return Some(widths);
        }
        let widest = (1..widths.len())
            .filter(|column| widths[*column] > least(*column))
            .max_by_key(|column| widths[*column])?;
        widths[widest] -= 1;
    }
}

fn lines(heading: &[&str], rows: &[Vec<String>], widths: &[usize]) -> Vec<String> {
    let line = |cells: Vec<&str>| {
        let padded: Vec<String> = cells
            .iter()
            .zip(widths)
            .map(|(cell, width)| text::pad(&text::fit(cell, *width), *width))
            .collect();
        padded.join(&" ".repeat(GAP)).trim_end().to_owned()
    };
    let head = line(heading.to_vec());
    let body = rows
        .iter()
        .map(|row| line(row.iter().map(String::as_str).collect()));
    std::iter::once(head).chain(body).collect()
}

/// A row as lines: its first cell alone, then a line for each other one that says something.
fn blocks(heading: &[&str], rows: &[Vec<String>], columns: usize) -> Vec<String> {
    let title_width = heading
        .iter()
        .skip(1)
        .map(|title| title.width())
        .max()
        .unwrap_or(0);
    let mut lines = Vec::new();
    for row in rows {
        lines.push(row.first().cloned().unwrap_or_default());
        for (title, cell) in heading
            .iter()
            .zip(row)
            .skip(1)
            .filter(|(_, cell)| !cell.is_empty())
        {
            let line = format!("  {}  {cell}", text::pad(title, title_width));
            lines.push(text::fit(&line, columns));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> [Vec<String>; 2] {
        [
            vec![
                "run_1".to_owned(),
                "a".to_owned(),
                "a long reason that tells much".to_owned(),
            ],
            vec!["run_2".to_owned(), "日本\u{1b}[1m".to_owned(), String::new()],
        ]
    }
    const HEADING: [&str; 3] = ["RUN", "NAME", "WHY"];

    #[test]
    fn columns_align_and_cells_are_harmless() {
        assert_eq!(
            within(&HEADING, &rows(), None),
            [
                "RUN    NAME      WHY",
                "run_1  a         a long reason that tells much",
                "run_2  日本\u{fffd}[1m"
            ]
        );
    }

    #[test]
    fn the_widest_column_is_cut_first_and_the_first_never() {
        assert_eq!(
            within(&HEADING, &rows(), Some(30)),
            [
                "RUN    NAME      WHY",
                "run_1  a         a long reaso…",
                "run_2  日本\u{fffd}[1m"
            ]
        );
    }

    #[test]
    fn what_does_not_fit_becomes_blocks() {
        assert_eq!(
            within(&HEADING, &rows(), Some(20)),
            [
                "run_1",
                "  NAME  a",
                "  WHY   a long reas…",
                "run_2",
                "  NAME  日本\u{fffd}[1m"
            ]
        );
    }

    #[test]
    fn no_line_is_ever_wider_than_its_place() {
        let hostile = [
            "e\u{301}".repeat(90),
            "\u{202e}אבג".repeat(40),
            "日".repeat(80),
            "👩‍🚒".repeat(50),
        ];
        let rows = [vec!["id".to_owned()]
            .into_iter()
            .chain(hostile)
            .collect::<Vec<_>>()];
        for columns in 20..=300 {
            for line in within(&["ID", "A", "B", "C", "D"], &rows, Some(columns)) {
                assert!(line.width() <= columns, "{} > {columns}: {line}", line.width());
                assert!(!line.chars().any(char::is_control));
            }
        }
    }
}

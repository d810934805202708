//! Logs for a page: bytes of an outsider in, rows of text and colours out. Here and not in the browser, so that the page
//! without scripts, the page with them and the search see the same rows, and one set of properties holds for all three.

mod line;
pub mod palette;
mod reader;
mod rows;
mod style;
#[cfg(test)]
mod tests;

pub use line::{Row, Span};
pub use rows::{Index, MARK_ROWS, Mark, Piece, Rows, Search};
pub use style::Style;

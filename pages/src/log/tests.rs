use proptest::prelude::*;

use super::*;

fn rows(bytes: &[u8]) -> Vec<Row> {
    let mut rows = Rows::new(Mark::default(), 0, usize::MAX, usize::MAX);
    rows.feed(Piece {
        offset: 0,
        lost: 0,
        data: bytes,
    });
    rows.finish()
}

fn texts(bytes: &[u8]) -> Vec<String> {
    rows(bytes).iter().map(Row::text).collect()
}

/// `class:text` for each span of the first row.
fn look(bytes: &[u8]) -> Vec<String> {
    let rows = rows(bytes);
    let spans = rows.first().map(|row| row.spans.as_slice()).unwrap_or_default();
    spans
        .iter()
        .map(|span| format!("{}:{}", span.style.classes(), span.text))
        .collect()
}

#[test]
fn lines_with_and_without_an_end() {
    assert_eq!(texts(b""), Vec::<String>::new());
    assert_eq!(texts(b"a\r\nb\n\nc"), ["a", "b", "", "c"]);
    assert_eq!(texts(b"a\n"), ["a"]);
}

#[test]
fn colours_and_marks_of_terminals() {
    assert_eq!(look(b"\x1b[31mred\x1b[0m plain"), ["c1 fg:red", ": plain"]);
    assert_eq!(look(b"\x1b[1;4;38;5;208mx"), ["c208 fg sb su:x"]);
    assert_eq!(look(b"\x1b[38;2;255;0;0mx\x1b[39my"), ["c196 fg:x", ":y"]);
    assert_eq!(look(b"\x1b[38:2::255:0:0mx"), ["c196 fg:x"]);
    assert_eq!(look(b"\x1b[48:5:21mx"), ["k21:x"]);
    assert_eq!(look(b"\x1b[97;40mx"), ["c15 fx k0:x"]);
    assert_eq!(
        look(b"\x1b[30;40mx"),
        ["k0:x"],
        "black on black would not be seen"
    );
    assert_eq!(look(b"\x1b[7mx\x1b[27my"), ["sv:x", ":y"]);
    assert_eq!(look(b"\x1b[4mx\x1b[4:0my\x1b[4:3mz"), ["su:x", ":y", "su:z"]);
    assert_eq!(look(b"\x1b[8mhidden"), [":hidden"]);
    assert_eq!(look(b"\x1b[mx\x1b[999;38;5mz"), [":xz"]);
}

#[test]
fn what_is_written_over_is_gone() {
    assert_eq!(texts(b" 10%\r 50%\r100%\n"), ["100%"]);
    assert_eq!(texts(b"long line\rshort\x1b[K\n"), ["short"]);
    assert_eq!(texts(b"abc\x08\x08X\n"), ["aXc"]);
    assert_eq!(texts(b"abc\x1b[1GX\x1b[2CY\n"), ["XbcY"]);
    assert_eq!(texts(b"abc\x1b[2K\rx\n"), ["x"]);
}

#[test]
fn every_other_sequence_is_dropped() {
    assert_eq!(
        texts(b"a\x1b]0;title\x07b\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\"),
        ["ablink"]
    );
    assert_eq!(
        texts(b"a\x1b[2J\x1b[10;10H\x1b[?25l\x1b(Bb\x1bPq#0\x1b\\c"),
        ["abc"]
    );
    assert_eq!(texts(b"a\x1b]0;never ended\nnext"), ["a", "next"]);
}

#[test]
fn bytes_that_are_not_text_are_shown() {
    assert_eq!(
        texts(b"a\xff\xc3\xa4\xe2\x82\n\0\x7f"),
        ["a\u{fffd}ä\u{fffd}", "\u{2400}\u{2421}"]
    );
    assert_eq!(texts("a\u{202e}b\u{9b}31m".as_bytes()), ["a\u{fffd}b\u{fffd}31m"]);
}

#[test]
fn a_long_line_says_what_is_not_shown() {
    let mut bytes = vec![b'x'; 10_050];
    bytes.extend(b"\nend\n");
    let rows = rows(&bytes);
    assert_eq!(
        (rows[0].text().len(), rows[0].cut, rows[1].text()),
        (10_000, 50, "end".to_owned())
    );
}

#[test]
fn lost_bytes_are_a_row_of_their_own() {
    let pieces = [
        (0, 0, &b"begun"[..]),
        (105, 100, b" and on\nlast"),
        (216, 99, b""),
    ];
    let (mut index, mut rows) = (Index::default(), Rows::new(Mark::default(), 0, 100, usize::MAX));
    for (offset, lost, data) in pieces {
        let piece = Piece { offset, lost, data };
        index.feed(piece);
        rows.feed(piece);
    }
    let seen: Vec<_> = rows.finish().iter().map(|row| (row.text(), row.lost)).collect();
    let wanted = [("begun", 0), ("", 100), (" and on", 0), ("last", 0), ("", 99)];
    assert_eq!(seen, wanted.map(|(text, lost)| (text.to_owned(), lost)));
    assert_eq!((index.rows(), index.end(), index.lost()), (5, 216, 199));
}

#[test]
fn search_minds_capitals_only_when_asked() {
    let look = |wanted: &str| {
        let mut search = Search::new(wanted, 2);
        search.feed(Piece {
            offset: 0,
            lost: 0,
            data: b"an \x1b[31mEr\x1b[0mror\nfine\nerror\nerrors",
        });
        search.finish()
    };
    assert_eq!(look("error"), (vec![0, 2], 3));
    assert_eq!(look("Error"), (vec![0], 1));
    assert_eq!(look("31m"), (vec![], 0));
}

/// Bytes in which escape sequences, ends of lines and broken characters are common.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        Just(b"\n".to_vec()),
        Just(b"\x1b[".to_vec()),
        Just(b"\x1b]".to_vec()),
        Just(b"\x1b[1;31m".to_vec()),
        Just(b"\x1b[48;5;200m<b>&\"'".to_vec()),
        Just("ä\u{202e}".as_bytes().to_vec()),
        "[ -~]{0,12}".prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 0..6),
    ];
    prop::collection::vec(part, 0..60).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn nothing_but_text_and_known_classes_comes_out(bytes in hostile()) {
        for row in rows(&bytes) {
            for span in &row.spans {
                prop_assert!(!span.text.chars().any(|c| c.is_control() && c != '\t'), "{:?}", span.text);
                for class in span.style.classes().split(' ') {
                    prop_assert!(class.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit()));
                }
            }
        }
    }

    #[test]
    fn how_the_bytes_are_cut_changes_nothing(bytes in hostile(), at in any::<prop::sample::Index>()) {
        let at = at.index(bytes.len() + 1);
        let (mut cut, mut index) = (Rows::new(Mark::default(), 0, usize::MAX, usize::MAX), Index::default());
        for (offset, data) in [(0, &bytes[..at]), (at as u64, &bytes[at..])] {
            let piece = Piece { offset, lost: 0, data };
            cut.feed(piece);
            index.feed(piece);
        }
        let whole = rows(&bytes);
        prop_assert_eq!(index.rows(), whole.len() as u64);
        prop_assert_eq!(cut.finish(), whole);
    }

    #[test]
    fn rows_from_a_mark_are_those_of_the_whole(bytes in hostile(), times in 40_usize..120, row in 0_u64..2_000) {
        let bytes = [bytes, b"\n".to_vec()].concat().repeat(times);
        let mut index = Index::default();
        index.feed(Piece { offset: 0, lost: 0, data: &bytes });
        let mark = index.before(row);
        prop_assert!(mark.row <= row && row - mark.row < MARK_ROWS || row >= index.rows());
        let mut some = Rows::new(mark, row, 7, usize::MAX);
        some.feed(Piece { offset: mark.offset, lost: 0, data: &bytes[mark.offset as usize..] });
        let whole: Vec<Row> = rows(&bytes).into_iter().skip(row as usize).take(7).collect();
        prop_assert_eq!(some.finish(), whole);
    }
}

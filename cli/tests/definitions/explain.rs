//! `firehall explain`.

use super::{answer, folder};

#[test]
fn a_code_is_found_however_it_is_written() {
    let folder = folder(&[]);
    let (code, page, _) = answer(folder.path(), &["explain", "FH0301"]);
    assert_eq!(code, Some(0));
    assert!(page.starts_with("FH0301: unknown step\n"), "{page}");
    for spelling in ["fh0301", "0301"] {
        assert_eq!(answer(folder.path(), &["explain", spelling]).1, page);
    }
}

#[test]
fn an_unknown_code_names_the_nearest_and_none_lists_all() {
    let folder = folder(&[]);
    let (code, out, err) = answer(folder.path(), &["explain", "FH031"]);
    assert_eq!((code, out.as_str()), (Some(2), ""));
    assert!(err.contains("did you mean FH03"), "{err}");
    let (code, out, _) = answer(folder.path(), &["explain"]);
    assert_eq!((code, out.lines().count()), (Some(0), workflow::Code::ALL.len()));
}

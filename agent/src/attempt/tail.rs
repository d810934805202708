//! The end of a stream, for the person who reads what went wrong.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::Path,
};

/// The whole lines of its last bytes. A line whose beginning is cut off is left out: it may begin within a secret, which
/// nobody would find in it.
///
/// # Errors
/// It cannot be read.
pub(super) fn tail(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let length = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(length.saturating_sub(most)))?;
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    if length > most {
        let begins = bytes.iter().position(|byte| *byte == b'\n');
        bytes.drain(..begins.map_or(bytes.len(), |at| at + 1));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_line_that_is_cut_is_left_out() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("stderr");
        std::fs::write(&path, "password=hunter2\nlast\n").unwrap();
        let tail = |most| String::from_utf8(super::tail(&path, most).unwrap()).unwrap();
        assert_eq!(tail(100), "password=hunter2\nlast\n");
        assert_eq!(tail(9), "last\n");
        assert_eq!(tail(3), "");
    }
}

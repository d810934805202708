//! One entry of the tar as we take it.

use super::LayerError;

/// The longest path, as Linux has it.
const PATH_BYTES: usize = 4096;
/// The longest name in a directory, as Linux has it.
const NAME_BYTES: usize = 255;

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    File {
        size: u64,
    },
    Dir,
    Symlink {
        target: Vec<u8>,
    },
    /// To a path of the same layer.
    Hardlink {
        target: Vec<u8>,
    },
    Fifo,
    /// Left out.
    Device,
}

/// An entry with everything that we keep of it.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// As it is written in the archive.
    pub path: Vec<u8>,
    pub kind: Kind,
    pub mode: u32,
    pub uid: u64,
    pub gid: u64,
    pub mtime: i64,
}

pub(super) fn refused(path: &[u8], why: impl Into<String>) -> LayerError {
    LayerError::Entry {
        path: shown(path),
        why: why.into(),
    }
}

/// A path for people: a message is no place for a stranger's control characters.
pub(super) fn shown(path: &[u8]) -> String {
    String::from_utf8_lossy(path).chars().take(200).collect()
}

/// The names of a path from the layer's root on; empty for the root itself.
pub(super) fn names(path: &[u8]) -> Result<Vec<&[u8]>, LayerError> {
    if path.len() > PATH_BYTES {
        return Err(refused(
            path,
            format!("has a path of more than {PATH_BYTES} bytes"),
        ));
    }
    if path.starts_with(b"/") {
        return Err(refused(path, "has an absolute path"));
    }
    if path.contains(&0) {
        return Err(refused(path, "has a NUL byte in its path"));
    }
    let mut names = Vec::new();
    for name in path.split(|byte| *byte == b'/') {
        match name {
            b"" | b"." => {}
            b".." => return Err(refused(path, "leads out of its directory")),
            name if name.len() > NAME_BYTES => {
                return Err(refused(
                    path,
                    format!("has a name of more than {NAME_BYTES} bytes"),
                ));
            }
            name => names.push(name),
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_path_stays_below_its_root_or_is_refused() {
        assert_eq!(names(b"./usr//bin/./sh").unwrap(), [&b"usr"[..], b"bin", b"sh"]);
        assert_eq!(names(b"./").unwrap(), Vec::<&[u8]>::new());
        let long = vec![b'a'; 256];
        for wrong in [
            &b"/etc/passwd"[..],
            b"a/../../etc",
            b"..",
            b"a\0b",
            &long,
            &[b'/'; 5000],
        ] {
            assert!(names(wrong).is_err(), "{}", shown(wrong));
        }
    }
}

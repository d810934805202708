//! The loader that a program names (ELF, `PT_INTERP`).

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

const PT_INTERP: u32 = 3;
/// A path is no longer.
const PATH_BYTES: u64 = 4096;

/// The path of the program's loader; none for a static program. 64-bit little-endian only, as all our targets are.
pub(crate) fn interpreter(program: &Path) -> io::Result<Option<PathBuf>> {
    let mut file = File::open(program)?;
    let mut header = [0; 64];
    file.read_exact(&mut header)?;
    if !header.starts_with(b"\x7fELF\x02\x01") {
        return Err(io::Error::other("not a 64-bit little-endian ELF program"));
    }
    let table = u64::from_le_bytes(array(&header[32..40]));
    let size = u64::from(u16::from_le_bytes(array(&header[54..56])));
    let count = u64::from(u16::from_le_bytes(array(&header[56..58])));
    for entry in 0..count {
        file.seek(SeekFrom::Start(table + entry * size))?;
        let mut entry = [0; 56];
        file.read_exact(&mut entry)?;
        if u32::from_le_bytes(array(&entry[..4])) != PT_INTERP {
            continue;
        }
        let offset = u64::from_le_bytes(array(&entry[8..16]));
        let length = u64::from_le_bytes(array(&entry[32..40])).min(PATH_BYTES);
        file.seek(SeekFrom::Start(offset))?;
        let mut path = String::new();
        file.take(length).read_to_string(&mut path)?;
        return Ok(Some(PathBuf::from(path.trim_end_matches('\0'))));
    }
    Ok(None)
}

fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(bytes);
    array
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn this_program_names_its_loader_and_a_text_is_no_program() {
        let loader = interpreter(Path::new("/proc/self/exe")).unwrap();
        assert!(loader.is_none_or(|path| path.exists()));
        assert!(interpreter(Path::new("/etc/passwd")).is_err());
    }
}

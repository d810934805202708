//! Reads the archive entry by entry. The headers that only lengthen another's fields (PAX, GNU) are read here and not
//! by the crate, which would take one of any size into memory.

use std::io::Read;

use tar::{Archive, EntryType, PaxExtensions};

use super::entry::{Entry, Kind, refused};
use super::place::Place;
use super::{Budget, LayerError, read_error};

/// The most bytes of one lengthening header.
const EXTENSION_BYTES: u64 = 1024 * 1024;

/// Fields of the next entry that did not fit into its header.
#[derive(Default)]
struct Longer {
    path: Option<Vec<u8>>,
    target: Option<Vec<u8>>,
    size: Option<u64>,
    uid: Option<u64>,
    gid: Option<u64>,
    mtime: Option<i64>,
}

/// Puts every entry in its place.
pub(super) fn each(
    archive: &mut Archive<impl Read>,
    budget: &mut Budget,
    place: &mut Place,
) -> Result<(), LayerError> {
    let mut longer = Longer::default();
    for raw in archive.entries().map_err(read_error)?.raw(true) {
        let mut raw = raw.map_err(read_error)?;
        budget.entries = budget
            .entries
            .checked_sub(1)
            .ok_or(LayerError::TooLarge("entries"))?;
        let kind = raw.header().entry_type();
        if kind.is_pax_global_extensions() {
            continue;
        }
        if kind.is_gnu_longname() {
            longer.path = Some(name_in(&mut raw)?);
        } else if kind.is_gnu_longlink() {
            longer.target = Some(name_in(&mut raw)?);
        } else if kind.is_pax_local_extensions() {
            let bytes = small(&mut raw)?;
            longer.take(&bytes)?;
        } else {
            let entry = entry(&raw, std::mem::take(&mut longer))?;
            if let Kind::File { size } = entry.kind {
                budget.bytes = budget
                    .bytes
                    .checked_sub(size)
                    .ok_or(LayerError::TooLarge("bytes"))?;
            }
            place.put(&entry, &mut raw)?;
            budget.entries = budget
                .entries
                .checked_sub(place.take_implied())
                .ok_or(LayerError::TooLarge("entries"))?;
        }
    }
    Ok(())
}

fn small<R: Read>(raw: &mut tar::Entry<'_, R>) -> Result<Vec<u8>, LayerError> {
    if raw.size() > EXTENSION_BYTES {
        let path = raw.path_bytes().into_owned();
        return Err(refused(
            &path,
            format!("has a header of more than {EXTENSION_BYTES} bytes"),
        ));
    }
    let mut bytes = Vec::new();
    raw.read_to_end(&mut bytes).map_err(read_error)?;
    Ok(bytes)
}

/// A GNU long name ends with a NUL byte.
fn name_in<R: Read>(raw: &mut tar::Entry<'_, R>) -> Result<Vec<u8>, LayerError> {
    let mut bytes = small(raw)?;
    if bytes.last() == Some(&0) {
        bytes.pop();
    }
    Ok(bytes)
}

impl Longer {
    fn take(&mut self, bytes: &[u8]) -> Result<(), LayerError> {
        for record in PaxExtensions::new(bytes) {
            let record = record.map_err(read_error)?;
            let value = record.value_bytes();
            let number = || {
                let text = std::str::from_utf8(value).ok()?;
                // Times have fractions.
                text.split('.').next()?.parse::<i64>().ok()
            };
            let natural = || number().and_then(|number| u64::try_from(number).ok());
            match record.key_bytes() {
                b"path" => self.path = Some(value.to_vec()),
                b"linkpath" => self.target = Some(value.to_vec()),
                b"size" => self.size = natural(),
                b"uid" => self.uid = natural(),
                b"gid" => self.gid = natural(),
                b"mtime" => self.mtime = number(),
                // Extended attributes among others: none is kept (a capability would not count in a step either).
                _ => {}
            }
        }
        Ok(())
    }
}

fn entry<R: Read>(raw: &tar::Entry<'_, R>, longer: Longer) -> Result<Entry, LayerError> {
    let header = raw.header();
    let path = longer.path.unwrap_or_else(|| header.path_bytes().into_owned());
    let link = || {
        let short = || header.link_name_bytes().map(std::borrow::Cow::into_owned);
        longer.target.clone().or_else(short).unwrap_or_default()
    };
    let kind = match header.entry_type() {
        EntryType::Regular | EntryType::Continuous => {
            // The crate goes on by the header's size; one that only the extension knows is beyond 8 GiB.
            if longer.size.is_some_and(|size| size != raw.size()) {
                return Err(refused(&path, "is larger than 8 GiB"));
            }
            // Before POSIX, a directory was a file whose name ends with a slash.
            if path.ends_with(b"/") {
                Kind::Dir
            } else {
                Kind::File { size: raw.size() }
            }
        }
        EntryType::Directory => Kind::Dir,
        EntryType::Symlink => Kind::Symlink { target: link() },
        EntryType::Link => Kind::Hardlink { target: link() },
        EntryType::Fifo => Kind::Fifo,
        EntryType::Char | EntryType::Block => Kind::Device,
        other => {
            let why = format!(
                "is of kind {:?}, which images do not have",
                char::from(other.as_byte())
            );
            return Err(refused(&path, why));
        }
    };
    let number = |read: std::io::Result<u64>| read.unwrap_or_default();
    Ok(Entry {
        kind,
        mode: header.mode().unwrap_or(0o644),
        uid: longer.uid.unwrap_or_else(|| number(header.uid())),
        gid: longer.gid.unwrap_or_else(|| number(header.gid())),
        mtime: longer
            .mtime
            .unwrap_or_else(|| i64::try_from(number(header.mtime())).unwrap_or_default()),
        path,
    })
}

//! Layers, ordinary and hostile, unpacked for real.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::io::{Cursor, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use tar::{Builder, EntryType, Header};

use super::{Budget, LayerError, Unpacked, unpack};
use crate::Digest;

const PLENTY: Budget = Budget {
    bytes: 64 * 1024 * 1024,
    entries: 10_000,
};

/// A tar without the checks that the crate's builder makes.
#[derive(Default)]
struct Tape(Vec<u8>);

impl Tape {
    fn add(mut self, path: &[u8], kind: EntryType, mode: u32, link: &[u8], content: &[u8]) -> Self {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_mtime(1_000_000_000);
        header.set_uid(7);
        header.set_gid(8);
        header.set_size(content.len() as u64);
        let raw = header.as_gnu_mut().unwrap();
        raw.name[..path.len()].copy_from_slice(path);
        raw.linkname[..link.len()].copy_from_slice(link);
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    fn file(self, path: &str, content: &str) -> Self {
        self.add(
            path.as_bytes(),
            EntryType::Regular,
            0o640,
            b"",
            content.as_bytes(),
        )
    }

    fn dir(self, path: &str) -> Self {
        self.add(path.as_bytes(), EntryType::Directory, 0o700, b"", b"")
    }

    fn link(self, path: &str, kind: EntryType, target: &str) -> Self {
        self.add(path.as_bytes(), kind, 0o777, target.as_bytes(), b"")
    }

    fn end(mut self) -> Vec<u8> {
        self.0.extend_from_slice(&[0; 1024]);
        self.0
    }
}

fn unpacked(into: &Path, tar: &[u8], budget: Budget) -> Result<Unpacked, LayerError> {
    let root = rustix::fs::open(into, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap();
    unpack(
        Cursor::new(tar),
        root,
        rustix::process::geteuid().is_root(),
        &mut budget.clone(),
    )
}

/// A place with something beside it that must not be touched.
struct Ground {
    tmp: tempfile::TempDir,
}

impl Ground {
    fn new() -> Self {
        let tmp = tempfile::tempdir().unwrap();
        fs::create_dir(tmp.path().join("layer")).unwrap();
        fs::create_dir(tmp.path().join("outside")).unwrap();
        fs::write(tmp.path().join("outside/precious"), "as it was").unwrap();
        Self { tmp }
    }

    fn at(&self, path: &str) -> std::path::PathBuf {
        self.tmp.path().join("layer").join(path)
    }

    fn unpack(&self, tape: Tape) -> Result<Unpacked, LayerError> {
        let result = unpacked(&self.at(""), &tape.end(), PLENTY);
        let outside: Vec<_> = fs::read_dir(self.tmp.path().join("outside")).unwrap().collect();
        assert_eq!(outside.len(), 1, "something came out of the layer");
        let precious = self.tmp.path().join("outside/precious");
        assert_eq!(fs::read_to_string(&precious).unwrap(), "as it was");
        assert_eq!(
            fs::metadata(&precious).unwrap().nlink(),
            1,
            "a second name for a file outside"
        );
        result
    }

    fn text(&self, path: &str) -> String {
        fs::read_to_string(self.at(path)).unwrap()
    }
}

#[test]
fn files_directories_and_links_come_with_times_owners_and_readable_modes() {
    let ground = Ground::new();
    let tape = Tape::default()
        .dir("./app/")
        .file("./app/data", "hello")
        .add(b"app/tool", EntryType::Regular, 0o4710, b"", b"#!")
        .add(b"shared", EntryType::Directory, 0o1777, b"", b"")
        .link("app/again", EntryType::Link, "app/data")
        .link("latest", EntryType::Symlink, "/app/data")
        .link("queue", EntryType::Fifo, "");
    let tar = tape.end();
    let done = unpacked(&ground.at(""), &tar, PLENTY).unwrap();
    assert_eq!(done.diff_id, Digest::of(&tar), "the digest is the whole tar's");
    assert_eq!(done.bytes, 7);
    assert_eq!(ground.text("app/again"), "hello");
    assert_eq!(
        fs::read_link(ground.at("latest")).unwrap(),
        Path::new("/app/data")
    );
    let mode = |path: &str| {
        fs::symlink_metadata(ground.at(path))
            .unwrap()
            .permissions()
            .mode()
            & 0o7777
    };
    assert_eq!(
        (mode("app"), mode("app/data"), mode("shared")),
        (0o755, 0o644, 0o1777)
    );
    assert_eq!(
        mode("app/tool"),
        0o755,
        "no set-user-id, and everybody may run it"
    );
    assert_eq!(
        fs::metadata(ground.at("app/data")).unwrap().mtime(),
        1_000_000_000
    );
    assert_eq!(fs::metadata(ground.at("app")).unwrap().mtime(), 1_000_000_000);
    assert!(
        fs::symlink_metadata(ground.at("queue"))
            .unwrap()
            .file_type()
            .is_fifo()
    );
    if rustix::process::geteuid().is_root() {
        let owner = fs::metadata(ground.at("app/data")).unwrap();
        assert_eq!((owner.uid(), owner.gid()), (7, 8));
    }
}

#[test]
fn gzip_and_zstd_are_told_by_their_bytes() {
    let tar = Tape::default().file("a", "content").end();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&tar).unwrap();
    let zstd = ruzstd::encoding::compress_to_vec(&tar[..], ruzstd::encoding::CompressionLevel::Fastest);
    // Several frames and one that is to be skipped, as zstd:chunked has them.
    let (first, second) = tar.split_at(700);
    let level = ruzstd::encoding::CompressionLevel::Fastest;
    let mut frames = ruzstd::encoding::compress_to_vec(first, level);
    frames.extend_from_slice(&[0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3]);
    frames.extend(ruzstd::encoding::compress_to_vec(
        second,
        ruzstd::encoding::CompressionLevel::Fastest,
    ));
    for (name, blob) in [
        ("gzip", gzip.finish().unwrap()),
        ("zstd", zstd),
        ("frames", frames),
        ("plain", tar.clone()),
    ] {
        let ground = Ground::new();
        let done = unpacked(&ground.at(""), &blob, PLENTY).unwrap();
        assert_eq!(done.diff_id, Digest::of(&tar), "{name}");
        assert_eq!(ground.text("a"), "content", "{name}");
    }
}

#[test]
fn no_path_leads_out() {
    for path in ["../outside/evil", "/etc/evil", "a/../../outside/evil", ".."] {
        let refused = Ground::new().unpack(Tape::default().file(path, "x")).unwrap_err();
        assert!(matches!(refused, LayerError::Entry { .. }), "{path}: {refused}");
    }
}

#[test]
fn a_link_is_followed_within_the_layer_only() {
    let ground = Ground::new();
    let outside = ground.tmp.path().join("outside");
    let outside = outside.to_str().unwrap();
    let tape = Tape::default()
        .link("way", EntryType::Symlink, "../outside")
        .file("way/precious", "inside")
        .link("absolute", EntryType::Symlink, outside)
        .file("absolute/precious", "inside too")
        .link("up", EntryType::Symlink, "../../../../../..")
        .file("up/top", "in the root");
    // A link to a directory that the layer does not have is replaced by the directory.
    ground.unpack(tape).unwrap();
    assert_eq!(ground.text("way/precious"), "inside");
    assert_eq!(ground.text("top"), "in the root");
}

#[test]
fn a_file_replaces_a_link_and_is_not_written_through_it() {
    let ground = Ground::new();
    let target = ground.tmp.path().join("outside/precious");
    let tape = Tape::default()
        .link("name", EntryType::Symlink, target.to_str().unwrap())
        .file("name", "mine");
    ground.unpack(tape).unwrap();
    assert_eq!(ground.text("name"), "mine");
    // The same when the link was there before, put by somebody else.
    let ground = Ground::new();
    symlink(ground.tmp.path().join("outside/precious"), ground.at("name")).unwrap();
    ground.unpack(Tape::default().file("name", "mine")).unwrap();
    assert_eq!(ground.text("name"), "mine");
}

#[test]
fn a_hard_link_is_to_a_file_of_the_layer_only() {
    for target in ["../outside/precious", "missing", "/etc/passwd", ""] {
        let ground = Ground::new();
        let refused = ground
            .unpack(Tape::default().link("name", EntryType::Link, target))
            .unwrap_err();
        assert!(matches!(refused, LayerError::Entry { .. }), "{target}: {refused}");
    }
    // Through a link that leads out: within the layer it leads nowhere.
    let ground = Ground::new();
    let tape = Tape::default()
        .link(
            "way",
            EntryType::Symlink,
            ground.tmp.path().join("outside").to_str().unwrap(),
        )
        .link("name", EntryType::Link, "way/precious");
    assert!(ground.unpack(tape).is_err());
    // A link to a link is a second name for the link, not for what it leads to.
    let ground = Ground::new();
    let tape = Tape::default()
        .link(
            "way",
            EntryType::Symlink,
            ground.tmp.path().join("outside/precious").to_str().unwrap(),
        )
        .link("name", EntryType::Link, "way")
        .file("name", "mine");
    ground.unpack(tape).unwrap();
    assert_eq!(ground.text("name"), "mine");
}

#[test]
fn device_nodes_are_left_out() {
    let ground = Ground::new();
    let tape = Tape::default()
        .link("disk", EntryType::Block, "")
        .link("mem", EntryType::Char, "")
        .file("after", "x");
    ground.unpack(tape).unwrap();
    assert!(!ground.at("disk").exists() && !ground.at("mem").exists() && ground.at("after").exists());
}

#[test]
fn whiteouts_hide_what_lies_below_and_never_their_own_layer() {
    let ground = Ground::new();
    let tape = Tape::default()
        .file("etc/.wh.gone", "")
        .file("cleared/.wh..wh..opq", "")
        .file("cleared/new", "new")
        .file(".wh.kept", "")
        .file("kept", "kept")
        .dir("replaced")
        .file("replaced/mine", "mine")
        .file(".wh.replaced", "")
        .file(".wh..wh.plnk", "");
    ground.unpack(tape).unwrap();
    let gone = fs::symlink_metadata(ground.at("etc/gone")).unwrap();
    assert!(gone.file_type().is_char_device() && gone.rdev() == 0);
    let opaque = |path: &str| {
        let mut value = [0; 8];
        let count = rustix::fs::getxattr(ground.at(path), "user.overlay.opaque", &mut value[..]);
        count.is_ok_and(|count| &value[..count] == b"y")
    };
    assert!(opaque("cleared") && opaque("replaced") && !opaque("etc"));
    assert_eq!(
        (ground.text("kept"), ground.text("replaced/mine")),
        ("kept".into(), "mine".into())
    );
    assert!(!ground.at(".wh..wh.plnk").exists() && !ground.at(".wh.kept").exists());
    for hostile in [".wh.", ".wh..", ".wh..."] {
        let ground = Ground::new();
        assert!(
            ground.unpack(Tape::default().file(hostile, "")).is_err(),
            "{hostile}"
        );
    }
}

#[test]
fn bombs_are_stopped() {
    let small = Budget {
        bytes: 1024,
        entries: 10,
    };
    let ground = Ground::new();
    let big = Tape::default().file("a", &"x".repeat(1025)).end();
    assert!(matches!(
        unpacked(&ground.at(""), &big, small),
        Err(LayerError::TooLarge("bytes"))
    ));
    let many = (0..11)
        .fold(Tape::default(), |tape, n| tape.file(&format!("f{n}"), ""))
        .end();
    assert!(matches!(
        unpacked(&ground.at(""), &many, small),
        Err(LayerError::TooLarge("entries"))
    ));
    // One entry, whose path takes more directories than there may be.
    let deep = Tape::default()
        .file(&format!("{}file", "d/".repeat(10)), "")
        .end();
    assert!(matches!(
        unpacked(&ground.at(""), &deep, small),
        Err(LayerError::TooLarge("entries"))
    ));
    // Megabytes of nothing behind the end of the archive, in a few bytes of gzip.
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    bomb.write_all(&Tape::default().end()).unwrap();
    for _ in 0..4 {
        bomb.write_all(&[0; 1024 * 1024]).unwrap();
    }
    let bomb = bomb.finish().unwrap();
    assert!(matches!(
        unpacked(&ground.at(""), &bomb, small),
        Err(LayerError::TooLarge("bytes"))
    ));
    // A size that the archive does not have.
    let mut short = Tape::default().file("a", "x").end();
    short.truncate(512);
    assert!(matches!(
        unpacked(&ground.at(""), &short, PLENTY),
        Err(LayerError::Read(_))
    ));
    // A header of a megabyte and more.
    let long = Tape::default()
        .add(b"x", EntryType::XHeader, 0, b"", &vec![b'1'; 1024 * 1024 + 1])
        .end();
    assert!(matches!(
        unpacked(&ground.at(""), &long, PLENTY),
        Err(LayerError::Entry { .. })
    ));
}

#[test]
fn long_names_are_read_and_too_long_ones_refused() {
    let ground = Ground::new();
    let deep = format!("{}/file", vec!["directory-with-a-name"; 20].join("/"));
    let mut builder = Builder::new(Vec::new());
    let mut header = Header::new_gnu();
    header.set_size(4);
    header.set_mode(0o644);
    builder.append_data(&mut header, &deep, &b"deep"[..]).unwrap();
    let tar = builder.into_inner().unwrap();
    unpacked(&ground.at(""), &tar, PLENTY).unwrap();
    assert_eq!(ground.text(&deep), "deep");
    // A PAX record gives the path, even one that leads out.
    let path = "../outside/evil";
    let record = format!(" path={path}\n");
    let record = format!("{}{record}", record.len() + 2);
    let hostile = Tape::default()
        .add(b"pax", EntryType::XHeader, 0, b"", record.as_bytes())
        .file("innocent", "x");
    assert!(matches!(
        Ground::new().unpack(hostile),
        Err(LayerError::Entry { .. })
    ));
    let name = "n".repeat(300);
    let long = Tape::default()
        .add(b"long", EntryType::GNULongName, 0, b"", name.as_bytes())
        .file("short", "x");
    assert!(matches!(
        Ground::new().unpack(long),
        Err(LayerError::Entry { .. })
    ));
}

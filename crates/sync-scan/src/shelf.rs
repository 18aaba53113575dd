//! Keeps what examinations found out from one to the next, and over restarts: one small private file for each project.
//!
//! Everything in it can be found out again, so whatever is wrong with a file is the same as there being none: only what
//! this program would write is believed, and a checksum at the end tells damage. Who forges that as well could as well
//! write to the database. It holds what was told of the project, and the ids of files for which git's index has no
//! answer: those that differ from it, that are not tracked, and all of a folder outside git.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, OpenOptions};
use std::hash::{DefaultHasher, Hasher};
use std::io::{self, ErrorKind, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::content::read_file;
use crate::stamps::Stamps;

const MAGIC: &[u8; 8] = b"cosshlf2";
/// Longest file that is read; of what would be longer nothing is kept.
const LONGEST: usize = 64 << 20;
/// A file whose system counts whole seconds is trusted when it was last changed this long before it was read; where
/// fractions are counted, the second it was changed in has to be over.
const COARSE: Duration = Duration::from_secs(2);
/// How long what belongs to no project any more is kept.
const ORPHANED: Duration = Duration::from_hours(30 * 24);

/// The folder of these files.
#[derive(Clone, Debug)]
pub(crate) struct Shelf {
    folder: PathBuf,
    /// Of the program: another one may tell other things of the same files.
    program: u64,
}

/// What is kept of one project.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Kept {
    pub(crate) told: Option<Told>,
    files: BTreeMap<Vec<u8>, Known>,
}

/// What was told of a project with this content.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Told {
    pub(crate) content_hash: String,
    pub(crate) name: String,
    pub(crate) language: String,
    pub(crate) framework: String,
    pub(crate) kind: String,
    /// Its packages that are projects of their own, each with its folder from the root.
    pub(crate) members: Vec<(Vec<u8>, Told)>,
}

/// A file as it was when it was read.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Known {
    numbers: [u64; 7],
    /// By which rules its content was converted.
    rules: u64,
    id: Box<[u8]>,
    filtered: bool,
}

/// The files of one examination: those known before, and those to be known after it.
#[derive(Debug)]
pub(crate) struct Files {
    before: BTreeMap<Vec<u8>, Known>,
    after: BTreeMap<Vec<u8>, Known>,
    is_kept: bool,
    now: SystemTime,
}

impl Shelf {
    /// The shelf in `folder`, which is made when something is put there. By other `rules` other things are told.
    pub(crate) fn new(folder: PathBuf, rules: u64) -> Self {
        let mut program = DefaultHasher::new();
        program.write_u64(rules);
        program.write(env!("CARGO_PKG_VERSION").as_bytes());
        // A program that was built anew may have other rules under the same version.
        if let Ok(metadata) = std::env::current_exe().and_then(fs::metadata) {
            for number in numbers(&Stamps::of(&metadata)) {
                program.write_u64(number);
            }
        }
        Self::of(folder, program.finish())
    }

    /// The shelf in `folder` as the one that has this [`Self::program`] sees it.
    pub(crate) fn of(folder: PathBuf, program: u64) -> Self {
        Self { folder, program }
    }

    /// Where it is, and of which program.
    pub(crate) fn parts(&self) -> (&Path, u64) {
        (&self.folder, self.program)
    }

    /// What is kept of the project at `root`; nothing where there is none or it cannot be believed.
    pub(crate) fn open(&self, root: &Path) -> Kept {
        let read = read_file(&self.file(root), LONGEST as u64).ok().flatten();
        read.and_then(|bytes| decode(&bytes, self.program, root)).unwrap_or_default()
    }

    /// Keeps this of the project at `root`.
    pub(crate) fn put(&self, root: &Path, kept: &Kept) {
        let bytes = encode(kept, self.program, root);
        if bytes.len() > LONGEST {
            return;
        }
        let file = self.file(root);
        let new = file.with_extension("new");
        let written = fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.folder).and_then(|()| {
            // Whatever lies there, a pipe or somebody else's file by another name, is not written to.
            remove(&new)?;
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?.write_all(&bytes)?;
            fs::rename(&new, &file)
        });
        if let Err(error) = written {
            tracing::debug!(root = %root.display(), %error, "what was found out is not kept");
        }
    }

    /// Removes what is kept of projects that are not among `roots` and was not written for a month.
    pub(crate) fn clear<'a>(&self, roots: impl Iterator<Item = &'a PathBuf>, now: SystemTime) {
        let kept: std::collections::BTreeSet<_> = roots.map(|root| self.file(root)).collect();
        let Ok(entries) = fs::read_dir(&self.folder) else { return };
        for path in entries.filter_map(Result::ok).map(|entry| entry.path()) {
            let age = fs::symlink_metadata(&path)
                .and_then(|metadata| metadata.modified())
                .ok()
                .and_then(|written| now.duration_since(written).ok());
            if !kept.contains(&path)
                && age.is_some_and(|age| age > ORPHANED)
                && let Err(error) = fs::remove_file(&path)
            {
                tracing::debug!(file = %path.display(), %error, "cannot be removed");
            }
        }
    }

    fn file(&self, root: &Path) -> PathBuf {
        let mut name = DefaultHasher::new();
        name.write(root.as_os_str().as_bytes());
        self.folder.join(format!("{:016x}", name.finish()))
    }
}

impl Files {
    /// For an examination that begins `now`. Those kept before; nothing is kept where there are none.
    pub(crate) fn new(before: Option<&mut Kept>, now: SystemTime) -> Self {
        let is_kept = before.is_some();
        let before = before.map(|kept| std::mem::take(&mut kept.files)).unwrap_or_default();
        Self { before, after: BTreeMap::new(), is_kept, now }
    }

    /// The id of the file `path` and whether it was filtered, if it is as it was.
    pub(crate) fn find(&mut self, path: &[u8], stamps: &Stamps, rules: u64) -> Option<(Box<[u8]>, bool)> {
        let known = self.before.get(path)?;
        if known.numbers != numbers(stamps) || known.rules != rules {
            return None;
        }
        let found = (known.id.clone(), known.filtered);
        let known = known.clone();
        self.after.insert(path.to_vec(), known);
        Some(found)
    }

    /// Notes the file `path`, which was read, when nobody can have changed it since without its showing.
    pub(crate) fn note(&mut self, path: &[u8], stamps: &Stamps, rules: u64, found: (&[u8], bool)) {
        if self.is_kept && is_settled(stamps, self.now) {
            let (id, filtered) = found;
            let known = Known { numbers: numbers(stamps), rules, id: id.into(), filtered };
            self.after.insert(path.to_vec(), known);
        }
    }

    /// What is to be kept besides `told`; `None` when that is what is kept already.
    pub(crate) fn kept(self, before: Option<&Told>, told: Option<Told>) -> Option<Kept> {
        let is_same = before == told.as_ref() && self.before == self.after;
        (self.is_kept && !is_same).then_some(Kept { told, files: self.after })
    }
}

fn remove(file: &Path) -> io::Result<()> {
    let removed = fs::remove_file(file);
    if removed.as_ref().is_err_and(|error| error.kind() == ErrorKind::NotFound) { Ok(()) } else { removed }
}

fn is_settled(stamps: &Stamps, now: SystemTime) -> bool {
    let is_fine = stamps.mtime_nsec != 0 && stamps.ctime_nsec != 0;
    let newest = stamps.mtime.max(stamps.ctime);
    let newest = Duration::from_secs(u64::try_from(newest).unwrap_or(0) + 1);
    let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    newest + if is_fine { Duration::ZERO } else { COARSE } <= now
}

fn numbers(stamps: &Stamps) -> [u64; 7] {
    [
        stamps.size,
        stamps.mtime.cast_unsigned(),
        stamps.mtime_nsec.cast_unsigned(),
        stamps.ctime.cast_unsigned(),
        stamps.ctime_nsec.cast_unsigned(),
        stamps.ino,
        stamps.dev,
    ]
}

fn checksum(bytes: &[u8]) -> u64 {
    let mut sum = DefaultHasher::new();
    sum.write(bytes);
    sum.finish()
}

fn encode(kept: &Kept, program: u64, root: &Path) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    number(&mut bytes, program);
    text(&mut bytes, root.as_os_str().as_bytes());
    number(&mut bytes, u64::from(kept.told.is_some()));
    if let Some(told) = &kept.told {
        words(&mut bytes, told);
        number(&mut bytes, told.members.len() as u64);
        for (folder, told) in &told.members {
            text(&mut bytes, folder);
            words(&mut bytes, told);
        }
    }
    number(&mut bytes, kept.files.len() as u64);
    for (path, known) in &kept.files {
        text(&mut bytes, path);
        for field in known.numbers {
            number(&mut bytes, field);
        }
        number(&mut bytes, known.rules);
        number(&mut bytes, u64::from(known.filtered));
        text(&mut bytes, &known.id);
    }
    let sum = checksum(&bytes);
    number(&mut bytes, sum);
    bytes
}

fn words(bytes: &mut Vec<u8>, told: &Told) {
    for field in [&told.content_hash, &told.name, &told.language, &told.framework, &told.kind] {
        text(bytes, field.as_bytes());
    }
}

fn number(bytes: &mut Vec<u8>, number: u64) {
    bytes.extend_from_slice(&number.to_le_bytes());
}

fn text(bytes: &mut Vec<u8>, text: &[u8]) {
    number(bytes, text.len() as u64);
    bytes.extend_from_slice(text);
}

/// What was encoded, for that program and project; nothing for any bytes that [`encode`] does not make.
fn decode(bytes: &[u8], program: u64, root: &Path) -> Option<Kept> {
    let (content, sum) = bytes.split_at_checked(bytes.len().checked_sub(8)?)?;
    if sum != checksum(content).to_le_bytes() {
        return None;
    }
    let mut rest = content.strip_prefix(MAGIC)?;
    if take_number(&mut rest)? != program || take_text(&mut rest)? != root.as_os_str().as_bytes() {
        return None;
    }
    let told = if take_flag(&mut rest)? {
        let mut told = take_words(&mut rest)?;
        for _ in 0..take_number(&mut rest)? {
            let folder = take_text(&mut rest).filter(|folder| is_inside(folder))?.to_vec();
            told.members.push((folder, take_words(&mut rest)?));
        }
        Some(told)
    } else {
        None
    };
    let mut files = BTreeMap::new();
    for _ in 0..take_number(&mut rest)? {
        let path = take_text(&mut rest)?;
        if files.last_key_value().is_some_and(|(last, _): (&Vec<u8>, _)| last.as_slice() >= path) {
            return None;
        }
        let mut numbers = [0; 7];
        for field in &mut numbers {
            *field = take_number(&mut rest)?;
        }
        let rules = take_number(&mut rest)?;
        let filtered = take_flag(&mut rest)?;
        let id = take_text(&mut rest)?.into();
        files.insert(path.to_vec(), Known { numbers, rules, id, filtered });
    }
    rest.is_empty().then_some(Kept { told, files })
}

/// Whether a folder is named by a way that leads down from the root.
fn is_inside(folder: &[u8]) -> bool {
    let mut parts = Path::new(OsStr::from_bytes(folder)).components().peekable();
    parts.peek().is_some() && parts.all(|part| matches!(part, Component::Normal(_)))
}

fn take_words(rest: &mut &[u8]) -> Option<Told> {
    let mut field = || String::from_utf8(take_text(rest)?.to_vec()).ok();
    Some(Told {
        content_hash: field()?,
        name: field()?,
        language: field()?,
        framework: field()?,
        kind: field()?,
        members: Vec::new(),
    })
}

fn take_flag(rest: &mut &[u8]) -> Option<bool> {
    match take_number(rest)? {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }
}

fn take_number(rest: &mut &[u8]) -> Option<u64> {
    let (number, after) = rest.split_first_chunk::<8>()?;
    *rest = after;
    Some(u64::from_le_bytes(*number))
}

fn take_text<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(take_number(rest)?).ok()?;
    let (text, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(text)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    fn kept() -> Kept {
        let known =
            Known { numbers: [1, 2, 3, 4, 5, 6, 7], rules: 8, id: vec![9; 20].into(), filtered: true };
        Kept {
            told: Some(Told {
                content_hash: "aa".to_owned(),
                name: "name".to_owned(),
                members: vec![(b"a".to_vec(), Told { kind: "standalone".to_owned(), ..Told::default() })],
                ..Told::default()
            }),
            files: BTreeMap::from([(b"a\nb".to_vec(), known)]),
        }
    }

    #[test]
    fn what_is_put_there_is_found_there_by_the_same_program_for_the_same_project() {
        let home = tempfile::tempdir().unwrap();
        let shelf = Shelf::new(home.path().join("shelf"), 0);
        let root = Path::new("/some/root");
        assert_eq!(shelf.open(root), Kept::default());
        shelf.put(root, &kept());
        assert_eq!(shelf.open(root), kept());
        assert_eq!(shelf.open(Path::new("/other")), Kept::default());
        let others = Shelf::new(home.path().join("shelf"), 1);
        assert_eq!(others.open(root), Kept::default());
        let another = Shelf { program: shelf.program + 1, ..shelf.clone() };
        assert_eq!(another.open(root), Kept::default());
        let modes: Vec<u32> = [shelf.folder.clone(), shelf.file(root)]
            .map(|path| path.metadata().unwrap().mode() & 0o777)
            .into();
        assert_eq!(modes, [0o700, 0o600]);
    }

    #[test]
    fn a_damaged_file_is_none() {
        let whole = encode(&kept(), 5, Path::new("/r"));
        assert_eq!(decode(&whole, 5, Path::new("/r")), Some(kept()));
        for length in 0..whole.len() {
            assert_eq!(decode(&whole[..length], 5, Path::new("/r")), None, "cut to {length}");
            let mut flipped = whole.clone();
            flipped[length] ^= 1;
            assert_eq!(decode(&flipped, 5, Path::new("/r")), None, "flipped at {length}");
        }
    }

    #[test]
    fn what_this_program_would_not_write_is_not_believed_with_a_right_checksum_either() {
        let root = Path::new("/r");
        let whole = encode(&kept(), 5, root);
        let body = whole.len() - 8;
        let sealed = |mut bytes: Vec<u8>| {
            let sum = checksum(&bytes);
            number(&mut bytes, sum);
            bytes
        };
        let mut believed = 0;
        for at in 0..body {
            for new in [0, 1, 2, b'.', b'/', 0xff, whole[at] ^ 1, whole[at] ^ 0x80] {
                let mut other = whole[..body].to_vec();
                other[at] = new;
                let other = sealed(other);
                if let Some(kept) = decode(&other, 5, root) {
                    believed += 1;
                    assert!(encode(&kept, 5, root) == other, "{new:#x} at {at}");
                }
            }
            assert_eq!(decode(&sealed(whole[..at].to_vec()), 5, root), None, "cut to {at}");
        }
        assert!(believed > 0, "a letter of a name may be another");
        assert_eq!(decode(&sealed([&whole[..body], b"x".as_slice()].concat()), 5, root), None);
        for folder in ["", ".", "/etc", "..", "a/../../b", "a"] {
            let mut other = kept();
            other.told.as_mut().unwrap().members[0].0 = folder.into();
            let is_believed = decode(&encode(&other, 5, root), 5, root).is_some();
            assert_eq!(is_believed, folder == "a", "{folder:?}");
        }
    }

    #[test]
    fn what_is_no_file_is_not_waited_for_and_another_name_of_a_file_is_not_written_to() {
        let home = tempfile::tempdir().unwrap();
        let shelf = Shelf::new(home.path().join("shelf"), 0);
        let root = Path::new("/some/root");
        shelf.put(root, &kept());
        let (file, new) = (shelf.file(root), shelf.file(root).with_extension("new"));
        let others = home.path().join("others");
        fs::write(&others, "theirs").unwrap();
        fs::hard_link(&others, &new).unwrap();
        shelf.put(root, &kept());
        std::os::unix::fs::symlink(&others, &new).unwrap();
        shelf.put(root, &kept());
        assert_eq!((fs::read_to_string(&others).unwrap().as_str(), shelf.open(root)), ("theirs", kept()));
        for path in [&new, &file] {
            fs::remove_file(path).unwrap_or_default();
            pipe(path);
        }
        assert_eq!(shelf.open(root), Kept::default());
        shelf.put(root, &kept());
        assert_eq!(shelf.open(root), kept());
        fs::create_dir(&new).unwrap();
        shelf.put(root, &Kept::default());
        assert_eq!(shelf.open(root), kept(), "a folder in the way costs what is new");
        fs::remove_file(&file).unwrap();
        fs::create_dir(&file).unwrap();
        assert_eq!(shelf.open(root), Kept::default());
    }

    fn pipe(path: &Path) {
        let made = std::process::Command::new("mkfifo").arg(path).status().unwrap();
        assert!(made.success());
    }

    #[test]
    fn only_what_is_old_and_nobodys_is_cleared() {
        let home = tempfile::tempdir().unwrap();
        let shelf = Shelf::new(home.path().to_path_buf(), 0);
        let (mine, gone) = (PathBuf::from("/mine"), PathBuf::from("/gone"));
        for root in [&mine, &gone] {
            shelf.put(root, &kept());
        }
        let written = shelf.file(&gone).metadata().unwrap().modified().unwrap();
        shelf.clear([&mine].into_iter(), written + ORPHANED);
        assert_eq!(shelf.open(&gone), kept());
        shelf.clear([&mine].into_iter(), written + ORPHANED * 2);
        assert_eq!((shelf.open(&gone), shelf.open(&mine)), (Kept::default(), kept()));
    }
}

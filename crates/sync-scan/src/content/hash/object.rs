//! Ids of blobs and trees, made in memory and never stored.

use std::borrow::Cow;
use std::cmp::Ordering;

use gix::ObjectId;
use gix::hash::Kind;

/// What a tree says an entry is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::content) enum Mode {
    /// A file.
    File,
    /// A file anybody may run.
    Executable,
    /// A symbolic link; the blob is its target.
    Link,
    /// Another repository; the id is its commit.
    Gitlink,
    /// A folder.
    Tree,
}

impl Mode {
    fn as_octal(self) -> &'static [u8] {
        match self {
            Self::File => b"100644",
            Self::Executable => b"100755",
            Self::Link => b"120000",
            Self::Gitlink => b"160000",
            Self::Tree => b"40000",
        }
    }
}

/// One line of a tree.
#[derive(Debug)]
pub(super) struct TreeEntry<'n> {
    pub(super) name: Cow<'n, [u8]>,
    pub(super) mode: Mode,
    pub(super) id: ObjectId,
}

/// The id of the tree with these entries, in whatever order they come.
pub(super) fn tree_id(kind: Kind, entries: &mut [TreeEntry<'_>]) -> gix::Result<ObjectId> {
    entries.sort_by(in_tree_order);
    let mut bytes = Vec::with_capacity(entries.len() * 48);
    for entry in entries.iter() {
        bytes.extend_from_slice(entry.mode.as_octal());
        bytes.push(b' ');
        bytes.extend_from_slice(&entry.name);
        bytes.push(0);
        bytes.extend_from_slice(entry.id.as_bytes());
    }
    object_id(kind, gix::objs::Kind::Tree, &bytes)
}

/// The id of the blob with this content.
pub(super) fn blob_id(kind: Kind, content: &[u8]) -> gix::Result<ObjectId> {
    object_id(kind, gix::objs::Kind::Blob, content)
}

fn object_id(kind: Kind, object: gix::objs::Kind, content: &[u8]) -> gix::Result<ObjectId> {
    let mut hasher = gix::hash::hasher(kind);
    hasher.update(&gix::objs::encode::loose_header(object, content.len() as u64));
    hasher.update(content);
    hasher.try_finalize()
}

// Git sorts a folder as if its name ended in a slash.
fn in_tree_order(left: &TreeEntry<'_>, right: &TreeEntry<'_>) -> Ordering {
    let shared = left.name.len().min(right.name.len());
    let after = |entry: &TreeEntry<'_>| {
        let ending = if entry.mode == Mode::Tree { b'/' } else { 0 };
        entry.name.get(shared).copied().unwrap_or(ending)
    };
    left.name[..shared].cmp(&right.name[..shared]).then_with(|| after(left).cmp(&after(right)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_empty_tree_has_the_id_everybody_knows() {
        assert_eq!(tree_id(Kind::Sha1, &mut []).unwrap(), ObjectId::empty_tree(Kind::Sha1));
        assert_eq!(tree_id(Kind::Sha256, &mut []).unwrap(), ObjectId::empty_tree(Kind::Sha256));
    }

    #[test]
    fn folders_sort_as_if_they_ended_in_a_slash() {
        let entry = |name: &str, mode| TreeEntry {
            name: Cow::Owned(name.into()),
            mode,
            id: ObjectId::null(Kind::Sha1),
        };
        let mut entries = [
            entry("a0", Mode::File),
            entry("a", Mode::Tree),
            entry("a-b", Mode::File),
            entry("a.c", Mode::File),
        ];
        entries.sort_by(in_tree_order);
        let names: Vec<_> =
            entries.iter().map(|entry| String::from_utf8_lossy(&entry.name).into_owned()).collect();
        assert_eq!(names, ["a-b", "a.c", "a", "a0"]);
    }
}

//! Divides the roots among lookouts, so that a mount that hangs holds up nobody but itself.
//!
//! Roots on file systems of this machine are looked after together; each one that lies elsewhere, or does not even say
//! where it lies, by itself. Those are not watched: changes that others make there are not told.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::apart::is_remote;
use crate::platform::{self, Mount};

/// How long a root may take to say where it really is: so many steps of this. While the process is stopped, or the
/// machine stands still, only one of them passes.
const STEPS: u32 = 40;
const STEP: Duration = Duration::from_millis(50);

/// Roots that are looked after by one lookout.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Post {
    /// As configured.
    pub roots: Vec<PathBuf>,
    /// They may hang, and the system does not tell what others change there.
    pub is_remote: bool,
}

/// Finds out where roots lie. A root that does not answer is asked once, however often that is wanted: who asks hangs with
/// it, on a thread that nobody gets back.
#[derive(Debug, Default)]
pub struct Scout {
    unanswered: Mutex<BTreeMap<PathBuf, Answer>>,
}

type Answer = mpsc::Receiver<PathBuf>;

impl Scout {
    /// The posts for these roots, the first being this machine's own. Blocks for two seconds at most.
    ///
    /// # Errors
    /// When the system gives no thread to ask with: nothing is known then.
    pub fn posts(&self, roots: &[PathBuf]) -> io::Result<Vec<Post>> {
        let mounts = platform::mounts();
        let mut unanswered = self.unanswered.lock().unwrap_or_else(PoisonError::into_inner);
        for root in roots {
            if !unanswered.contains_key(root) {
                unanswered.insert(root.clone(), ask(root)?);
            }
        }
        let mut left = STEPS;
        let mut found = BTreeMap::new();
        unanswered.retain(|root, answer| {
            // One that is looked after no longer takes nobody's time.
            if !roots.contains(root) {
                return true;
            }
            let real = answered(answer, &mut left);
            let is_answered = real.is_some();
            found.insert(root.clone(), real);
            !is_answered
        });
        Ok(divide(&mounts, roots.iter().map(|root| (root.clone(), found.get(root).cloned().flatten()))))
    }
}

/// Waits for an answer for as many steps as are left.
fn answered(answer: &Answer, left: &mut u32) -> Option<PathBuf> {
    loop {
        let step = if *left > 0 { STEP } else { Duration::ZERO };
        match answer.recv_timeout(step) {
            Ok(real) => return Some(real),
            Err(RecvTimeoutError::Timeout) if *left > 0 => *left -= 1,
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return None,
        }
    }
}

/// Those of the roots that have to be touched for a look at `paths`: not those that lie elsewhere and hold none of them.
pub(crate) fn concerned(roots: &[PathBuf], paths: &[PathBuf]) -> Vec<PathBuf> {
    let mounts = platform::mounts();
    let is_concerned =
        |root: &&PathBuf| paths.iter().any(|path| path.starts_with(root)) || !is_remote(&mounts, root);
    roots.iter().filter(is_concerned).cloned().collect()
}

/// Asks on a thread of its own, which hangs for as long as the root does.
fn ask(root: &Path) -> io::Result<Answer> {
    let (send, answer) = mpsc::channel();
    let root = root.to_path_buf();
    std::thread::Builder::new().name("root".to_owned()).spawn(move || {
        let real = crate::root::as_far_as_there(&root);
        // Nobody may wait any more.
        drop(send.send(real));
    })?;
    Ok(answer)
}

/// Each root comes with where it really is, if it said so.
fn divide(mounts: &[Mount], roots: impl Iterator<Item = (PathBuf, Option<PathBuf>)>) -> Vec<Post> {
    let mut own = Post::default();
    let mut remote: Vec<Post> = Vec::new();
    for (root, real) in roots {
        if real.is_some_and(|real| !is_remote(mounts, &real)) {
            own.roots.push(root);
            continue;
        }
        let overlaps = |post: &&mut Post| {
            post.roots.iter().any(|other| other.starts_with(&root) || root.starts_with(other))
        };
        match remote.iter_mut().find(overlaps) {
            Some(post) => post.roots.push(root),
            None => remote.push(Post { roots: vec![root], is_remote: true }),
        }
    }
    std::iter::once(own).chain(remote).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_elsewhere_or_does_not_answer_is_looked_after_by_itself() {
        let mount = |point: &str, is_remote| Mount { point: PathBuf::from(point), is_remote };
        let mounts = [
            mount("/", false),
            mount("/net", true),
            mount("/net/disk", false),
            mount("/twice", true),
            mount("/twice", false),
        ];
        let roots = [
            ("/home/u", Some("/home/u")),
            ("/net/a", Some("/net/a")),
            ("/link", Some("/net/b")),
            ("/net/disk/x", Some("/net/disk/x")),
            ("/hangs", None),
            ("/hangs/below", None),
            ("/twice/x", Some("/twice/x")),
        ];
        let roots = roots.map(|(root, real)| (PathBuf::from(root), real.map(PathBuf::from)));
        let told: Vec<(Vec<String>, bool)> = divide(&mounts, roots.into_iter())
            .into_iter()
            .map(|post| (post.roots.iter().map(|root| root.display().to_string()).collect(), post.is_remote))
            .collect();
        let expected = [
            (vec!["/home/u", "/net/disk/x", "/twice/x"], false),
            (vec!["/net/a"], true),
            (vec!["/link"], true),
            (vec!["/hangs", "/hangs/below"], true),
        ];
        let expected =
            expected.map(|(roots, remote)| (roots.into_iter().map(str::to_owned).collect(), remote));
        assert_eq!(told, expected);
    }

    #[test]
    fn who_does_not_answer_uses_the_steps_up_and_who_has_answered_needs_none() {
        let (send, answer) = mpsc::channel();
        let mut left = 2;
        assert_eq!((answered(&answer, &mut left), left), (None, 0));
        send.send(PathBuf::from("/home/u")).unwrap();
        assert_eq!(answered(&answer, &mut left), Some(PathBuf::from("/home/u")));
        drop(send);
        left = 2;
        assert_eq!((answered(&answer, &mut left), left), (None, 2));
    }

    #[test]
    fn a_root_that_does_not_answer_is_asked_once_until_it_does() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        let (send, answer) = mpsc::channel();
        let scout = Scout::default();
        scout.unanswered.lock().unwrap().insert(root.clone(), answer);
        let remote = |posts: io::Result<Vec<Post>>| posts.unwrap().len() == 2;
        assert!(remote(scout.posts(std::slice::from_ref(&root))));
        assert!(
            scout.unanswered.lock().unwrap().contains_key(&root),
            "who was asked first is still waited for"
        );
        send.send(root.clone()).unwrap();
        assert!(!remote(scout.posts(std::slice::from_ref(&root))));
        assert!(scout.unanswered.lock().unwrap().is_empty());
        assert!(!remote(scout.posts(std::slice::from_ref(&root))), "and is asked anew after that");
    }
}

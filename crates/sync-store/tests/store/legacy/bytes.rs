//! Folders whose names are no UTF-8, as Python writes them down.

use std::os::unix::ffi::OsStrExt;

use super::{Old, acme, single, take, waiting};
use crate::support::{NOW, store};

#[tokio::test]
async fn a_folder_whose_name_is_no_text_is_taken_over_by_its_bytes() {
    let (_home, store, scope) = store().await;
    let rows = [single(1, r"caf\udce9", "").replace("/old/1", r"/old/caf\udce9"), single(2, "plain", "")];
    let old = Old::new(&rows.concat()).await;
    let taken = take(&store, &acme(scope), &old.file).await;
    assert_eq!((taken.rows, taken.wishes, taken.aside, taken.reasons), (2, 2, 0, Vec::new()));
    assert_eq!(
        waiting(&store, scope).await,
        ["caf\u{fffd} Rust/ab Standalone 0 user r1", "plain Rust/ab Standalone 0 user r1"]
    );
    let entries = store.outbox().list(scope, None, None, 10, NOW).await.unwrap();
    let root = entries[0].registration.root.as_os_str();
    assert_eq!(root.as_bytes(), b"/old/caf\xe9");
    assert_eq!(old.left().await, Vec::<i64>::new());
}

//! What is made of configuration files, of variables of the environment, and of the small files beside them.
//!
//! Parts: the file, then variables, `NAME` on the first line and the value on the others.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use sync_config::{FileText, Sources, load, token};

use crate::parts::{named, parts};

pub(crate) fn run(data: &[u8]) {
    let text = parts(data).next().unwrap_or_default();
    let env = named(data)
        .skip(1)
        .map(|(name, value)| (format!("CODITECT_SYNC__{name}"), OsString::from_vec(value.to_vec())))
        .collect();
    let text_of = String::from_utf8_lossy(text).into_owned();
    let file = FileText {
        path: PathBuf::from("/home/u/.coditect/config.json"),
        text: text_of.clone(),
        mode: Some(0o600),
    };
    let sources = Sources {
        file: Some(file),
        env,
        flags: Vec::new(),
        home: Some(PathBuf::from("/home/u")),
        current_dir: Some(PathBuf::from("/home/u")),
    };
    match load(&sources) {
        Ok(loaded) => {
            assert!(!loaded.rows().is_empty(), "every key has a row");
            let words: String = loaded.warnings.iter().map(ToString::to_string).collect();
            if let Some(secret) = loaded.config.cloud_sync.auth_token.as_ref()
                && secret.expose().len() > 7
            {
                let shown = format!("{:?}{:?}{words}", loaded.rows(), loaded.config);
                assert!(!shown.contains(secret.expose()), "a secret is shown");
            }
        }
        Err(problems) => {
            assert!(!problems.is_empty(), "a refusal says why");
            assert!(problems.iter().all(|problem| !problem.to_string().is_empty()));
        }
    }
    let _token = token::read(&text_of).is_ok();
    let _lock = sync_wire::LockInfo::from_bytes(text).is_some();
}

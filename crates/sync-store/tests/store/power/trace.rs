//! The recorded calls of a process, and the disk they would leave if the power went at some moment.

use std::collections::BTreeMap;

/// One thing the process did, in the order in which it began.
#[derive(Debug)]
pub(crate) enum Call {
    Write {
        file: String,
        at: usize,
        bytes: Vec<u8>,
    },
    Cut {
        file: String,
        length: usize,
    },
    Remove {
        file: String,
    },
    /// What was begun before call `from` is on the disk when this is over.
    Synced {
        file: String,
        from: usize,
    },
    /// It said something on its output.
    Said(String),
}

/// Reads what `strace -f -y -xx` wrote.
pub(crate) fn read(trace: &str) -> Vec<Call> {
    let mut calls = Vec::new();
    let mut begun: BTreeMap<&str, (String, usize)> = BTreeMap::new();
    for line in trace.lines() {
        let Some((process, call)) = line.split_once(' ') else { continue };
        let call = call.trim_start();
        if let Some(rest) = call.strip_prefix("<... ") {
            // Only the end of a sync matters; the others count from their beginning.
            if rest.starts_with('f')
                && rest.ends_with("= 0")
                && let Some((file, from)) = begun.remove(process)
            {
                calls.push(Call::Synced { file, from });
            }
            continue;
        }
        let Some((name, arguments)) = call.split_once('(') else { continue };
        let unfinished = arguments.ends_with("<unfinished ...>");
        let failed = arguments.contains(") = -1 ");
        match name {
            "fsync" | "fdatasync" if unfinished => {
                begun.insert(process, (file_of(arguments), calls.len()));
            }
            _ if failed => {}
            "fsync" | "fdatasync" => {
                calls.push(Call::Synced { file: file_of(arguments), from: calls.len() });
            }
            "pwrite64" => {
                let (at, bytes) = (last_number(arguments), text(arguments));
                calls.push(Call::Write { file: file_of(arguments), at, bytes });
            }
            "ftruncate" => {
                calls.push(Call::Cut { file: file_of(arguments), length: last_number(arguments) });
            }
            "unlink" => {
                let file = String::from_utf8(text(arguments)).unwrap();
                calls.push(Call::Remove { file: name_of(&file) });
            }
            "write" if arguments.starts_with("1<") => {
                let said = String::from_utf8(text(arguments)).unwrap();
                calls.extend(said.lines().map(|line| Call::Said(line.to_owned())));
            }
            _ => {}
        }
    }
    calls
}

/// The name of the file behind a descriptor.
fn file_of(arguments: &str) -> String {
    let path =
        arguments.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map_or("", |(path, _)| path);
    name_of(&String::from_utf8(bytes_of(path)).unwrap_or_default())
}

fn name_of(path: &str) -> String {
    path.rsplit('/').next().unwrap_or_default().to_owned()
}

/// What stands between the quotation marks.
fn text(arguments: &str) -> Vec<u8> {
    let quoted = arguments.split('"').nth(1).unwrap_or_default();
    assert!(!arguments.contains("\"..."), "the recording has to be whole");
    bytes_of(quoted)
}

fn bytes_of(text: &str) -> Vec<u8> {
    text.split("\\x").skip(1).map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
}

/// The last argument, a number.
fn last_number(arguments: &str) -> usize {
    let end = arguments.find(" <unfinished").or_else(|| arguments.rfind(')')).unwrap_or(arguments.len());
    let arguments = arguments[..end].trim_end_matches(')');
    arguments.rsplit(", ").next().and_then(|number| number.trim().parse().ok()).unwrap()
}

/// What happens to a write that was not synced when the power goes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fate {
    Dropped,
    Kept,
    /// Some of its sectors are on the disk.
    Torn,
    /// Each its own way.
    Mixed,
}

const SECTOR: usize = 512;

/// The files as they are after the first `end` calls and a power cut.
pub(crate) fn after_cut(
    calls: &[Call],
    end: usize,
    fate: Fate,
    throw: &mut dyn FnMut(usize) -> usize,
) -> BTreeMap<String, Vec<u8>> {
    let mut safe: BTreeMap<&str, usize> = BTreeMap::new();
    for call in &calls[..end] {
        if let Call::Synced { file, from } = call {
            safe.insert(file, *from);
        }
    }
    let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for (number, call) in calls[..end].iter().enumerate() {
        let is_safe = |file: &str| safe.get(file).is_some_and(|from| number < *from);
        let mut keeps = |file: &str| match fate {
            _ if is_safe(file) => true,
            Fate::Dropped => false,
            Fate::Kept => true,
            Fate::Torn | Fate::Mixed => throw(2) == 0,
        };
        match call {
            Call::Write { file, at, bytes } => {
                let whole = match fate {
                    Fate::Torn => is_safe(file),
                    Fate::Dropped | Fate::Kept | Fate::Mixed => keeps(file),
                };
                let content = files.entry(file.clone()).or_default();
                for (sector, bytes) in bytes.chunks(SECTOR).enumerate() {
                    let torn = matches!(fate, Fate::Torn | Fate::Mixed);
                    if whole || torn && throw(2) == 0 {
                        let at = at + sector * SECTOR;
                        content.resize(content.len().max(at + bytes.len()), 0);
                        content[at..at + bytes.len()].copy_from_slice(bytes);
                    }
                }
            }
            Call::Cut { file, length } => {
                if keeps(file) {
                    files.entry(file.clone()).or_default().resize(*length, 0);
                }
            }
            Call::Remove { file } => {
                files.remove(file);
            }
            Call::Synced { .. } | Call::Said(_) => {}
        }
    }
    files
}

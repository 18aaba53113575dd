//! What the documents show of the programs is what the programs print.
//!
//! Every block of a document that has lines beginning with `$ coditect-` is run, in the order of the document, in a home
//! of its own that is shown as `/home/ada`: four repositories below `PROJECTS`, folders beside them, and a daemon with a
//! dev cloud. What is different each time (UUIDs, moments, spans, processes, ports, versions) may differ; a UUID that
//! occurs again has to be the same again. `UPDATE=1` writes into the document what was printed.
//!
//! A comment on the line before a block changes the scene: `<!-- the cloud answers 503 -->`, `<!-- the cloud is well -->`.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use std::time::Duration;

use sync_tests::{Daemon, Home, program, until};

/// The home as the documents show it.
const SHOWN: &str = "/home/ada";
/// What a reader types before a command.
const PROMPT: &str = "$ ";

/// A block of a document with commands and what they print.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Block {
    /// The first and the line after the last, between the fences.
    lines: std::ops::Range<usize>,
    /// What the comment before it says.
    scene: Option<String>,
    steps: Vec<Step>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Step {
    command: String,
    output: String,
}

/// The blocks with commands of ours.
fn blocks(document: &str) -> Vec<Block> {
    let lines: Vec<&str> = document.lines().collect();
    let mut found = Vec::new();
    let mut begun: Option<usize> = None;
    for (at, line) in lines.iter().enumerate() {
        match begun {
            None if line.starts_with("```") => begun = Some(at),
            Some(first) if line.trim_end() == "```" => {
                begun = None;
                let inside = &lines[first + 1..at];
                if inside.iter().any(|line| line.starts_with("$ coditect-")) {
                    found.push(Block {
                        lines: first + 1..at,
                        scene: first.checked_sub(1).and_then(|before| comment(lines[before])),
                        steps: steps(inside),
                    });
                }
            }
            None | Some(_) => {}
        }
    }
    found
}

fn comment(line: &str) -> Option<String> {
    Some(line.strip_prefix("<!-- ")?.strip_suffix(" -->")?.to_owned())
}

fn steps(lines: &[&str]) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for line in lines {
        if let Some(command) = line.strip_prefix(PROMPT) {
            steps.push(Step { command: command.to_owned(), output: String::new() });
        } else if let Some(step) = steps.last_mut() {
            step.output.push_str(line);
            step.output.push('\n');
        }
    }
    // The empty line before the next command is the document's.
    for step in &mut steps {
        step.output.truncate(step.output.trim_end_matches('\n').len());
    }
    steps
}

/// The block as it is written.
fn written(steps: &[Step]) -> String {
    let parts: Vec<String> = steps
        .iter()
        .map(|step| {
            let output = if step.output.is_empty() { String::new() } else { format!("\n{}", step.output) };
            format!("{PROMPT}{}{output}", step.command)
        })
        .collect();
    let mut text = String::new();
    for (at, part) in parts.iter().enumerate() {
        // Long answers stand apart.
        let apart = at > 0 && (part.lines().count() > 3 || parts[at - 1].lines().count() > 3);
        text.push_str(if apart { "\n" } else { "" });
        text.push_str(part);
        text.push('\n');
    }
    text
}

/// A text in which everything that is different each time is the same.
struct Mask {
    uuids: BTreeMap<String, usize>,
}

impl Mask {
    fn new() -> Self {
        Self { uuids: BTreeMap::new() }
    }

    fn text(&mut self, text: &str) -> String {
        let lines: Vec<String> = text.lines().map(|line| self.line(line.trim_end())).collect();
        lines.join("\n")
    }

    /// Word by word; how far words are apart depends on how long the masked ones are.
    fn line(&mut self, line: &str) -> String {
        let line = line.replace("just now", "0 s ago");
        let words: Vec<String> =
            line.split(' ').filter(|word| !word.is_empty()).map(|word| self.word(word)).collect();
        let mut masked = Vec::with_capacity(words.len());
        for (at, word) in words.iter().enumerate() {
            let next = words.get(at + 1).map_or("", |next| next.trim_end_matches([',', ':', ';', '.', ')']));
            let before = at.checked_sub(1).map_or("", |before| words[before].as_str());
            let number = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
            let span = number && matches!(next, "ms" | "s" | "m" | "h" | "d");
            let of_span = before.bytes().all(|byte| byte.is_ascii_digit()) && !before.is_empty();
            let bare = word.trim_end_matches([',', ':', ';', '.', ')']);
            masked.push(if span {
                "N".to_owned()
            } else if of_span && matches!(bare, "ms" | "s" | "m" | "h" | "d") {
                word.replacen(bare, "span", 1)
            } else if before == "pid" {
                word.replace(|letter: char| letter.is_ascii_digit(), "").replace(',', "P,")
            } else {
                word.clone()
            });
        }
        masked.join(" ")
    }

    fn word(&mut self, word: &str) -> String {
        let mut masked = String::new();
        let mut rest = word;
        while !rest.is_empty() {
            if let Some(uuid) = rest.get(..36).filter(|text| is_uuid(text)) {
                let next = self.uuids.len();
                let number = *self.uuids.entry(uuid.to_owned()).or_insert(next);
                masked.extend(["<uuid ", &number.to_string(), ">"]);
                rest = &rest[36..];
            } else if let Some(length) = moment(rest) {
                masked.push_str("<moment>");
                rest = &rest[length..];
            } else {
                let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
                let changing = ["pid=", "took_ms=", "127.0.0.1:"].iter().any(|name| masked.ends_with(name));
                if let Some(length) = version(rest).filter(|_| !masked.ends_with(['.', '-'])) {
                    masked.push_str("<version>");
                    rest = &rest[length..];
                } else if digits > 0 {
                    masked.push_str(if changing { "N" } else { &rest[..digits] });
                    rest = &rest[digits..];
                } else {
                    let letter = rest.chars().next().unwrap_or_default();
                    masked.push(letter);
                    rest = &rest[letter.len_utf8()..];
                }
            }
        }
        masked
    }
}

fn is_uuid(text: &str) -> bool {
    text.bytes().enumerate().all(|(at, byte)| match at {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte),
    })
}

/// How long the moment is with which a text begins.
fn moment(text: &str) -> Option<usize> {
    let form = b"dddd-dd-ddTdd:dd:dd";
    let fits = text.len() > form.len()
        && text
            .bytes()
            .zip(form)
            .all(|(byte, form)| if *form == b'd' { byte.is_ascii_digit() } else { byte == *form });
    fits.then(|| text.find('Z')).flatten().map(|end| end + 1)
}

/// How long the version of three numbers is with which a text begins.
fn version(text: &str) -> Option<usize> {
    let length = text.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
    let numbers: Vec<&str> = text[..length].trim_end_matches('.').split('.').collect();
    let whole = numbers.len() == 3 && numbers.iter().all(|number| !number.is_empty());
    whole.then(|| numbers.iter().map(|number| number.len()).sum::<usize>() + 2)
}

/// Where the documents are run.
struct Scene {
    home: Home,
    daemon: Option<Daemon>,
}

impl Scene {
    fn new() -> Self {
        let home = Home::of_a_person(SHOWN);
        let manifests = [
            ("difference", "Cargo.toml", "[package]\nname = \"difference\"\n", "src/lib.rs"),
            ("engine", "Cargo.toml", "[package]\nname = \"analytical-engine\"\n", "src/main.rs"),
            ("looms", "package.json", "{\"name\": \"looms\"}\n", "src/index.ts"),
            ("notes", "pyproject.toml", "[project]\nname = \"notes\"\n", "src/notes.py"),
        ];
        for (folder, manifest, text, source) in manifests {
            let root = home.path().join("PROJECTS").join(folder);
            fs::create_dir_all(root.join("src")).expect("a project");
            fs::write(root.join(manifest), text).expect("its manifest");
            fs::write(root.join(source), "\n".repeat(20)).expect("its source");
            home.git(&root, &["init", "--quiet"]);
            home.git(&root, &["add", "."]);
            home.git(&root, &["commit", "--quiet", "-m", "begin"]);
        }
        for folder in ["sketch", "draft1", "draft2", "draft3"] {
            fs::create_dir_all(home.path().join(folder)).expect("a folder");
        }
        Self { home, daemon: None }
    }

    /// Does what the comment before a block says.
    fn set(&mut self, scene: &str) {
        if scene == "the cloud is well" {
            return self.faults("[]");
        }
        let code = scene.strip_prefix("the cloud answers ").and_then(|code| code.parse::<u16>().ok());
        let code = code.unwrap_or_else(|| unreachable!("no scene is called `{scene}`"));
        self.faults(&format!("[{{\"fault\": {{\"status\": {{\"code\": {code}}}}}}}]"));
    }

    fn faults(&mut self, rules: &str) {
        self.begin();
        let status = self.home.json(&["status"]);
        let address = status["cloud"]["api_url"].as_str().and_then(|url| url.strip_prefix("http://"));
        let address = address.expect("a dev cloud");
        let mut stream = TcpStream::connect(address).expect("the dev cloud");
        write!(
            stream,
            "PUT /_faults HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{rules}",
            rules.len()
        )
        .expect("a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200") || answer.starts_with("HTTP/1.1 204"), "{answer}");
    }

    /// Starts the daemon that documents take for granted.
    fn begin(&mut self) {
        if self.daemon.is_none() {
            let roots = self.home.path().join("PROJECTS").display().to_string();
            self.at_rest();
            self.daemon = Some(Daemon::start_with(&self.home, &["--dev", "--root", &roots]));
        }
    }

    /// Runs a command and answers what it prints, with the home as it is shown.
    fn run(&mut self, step: &Step) -> String {
        let printed = if let Some(flags) = step.command.strip_prefix("coditect-syncd ") {
            self.life(flags, &step.output)
        } else {
            if !self.is_stopped() {
                self.begin();
                self.rest();
            }
            let folder = program("coditect-sync").parent().expect("a folder").display().to_string();
            let script = format!("PATH='{folder}':\"$PATH\"; {{ {}\n}} 2>&1", step.command);
            let ran = self.home.command("sh").arg("-c").arg(script).output().expect("a shell");
            String::from_utf8_lossy(&ran.stdout).into_owned()
        };
        let home = self.home.path().display().to_string();
        printed.replace(&home, SHOWN).trim_end().to_owned()
    }

    /// Starts the daemon and answers the lines of its log that the document shows; those it lacks are left out.
    fn life(&mut self, flags: &str, shown: &str) -> String {
        let home = self.home.path().display().to_string();
        let flags: Vec<String> = flags.split(' ').map(|flag| flag.replace('~', &home)).collect();
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        self.at_rest();
        self.daemon = Some(Daemon::start_with(&self.home, &flags));
        self.rest();
        let wanted: Vec<String> = shown.lines().map(|line| plain(&line.replace(SHOWN, &home))).collect();
        let log = || self.daemon.as_ref().map(Daemon::log).unwrap_or_default();
        let has_all = |log: &str| {
            let said: Vec<String> = log.lines().map(plain).collect();
            wanted.iter().all(|line| said.contains(line))
        };
        // A line comes a moment after what it tells of; one that never comes is shown to be missing.
        let patience = (0..200).take_while(|_| !has_all(&log()));
        patience.for_each(|_| std::thread::sleep(Duration::from_millis(50)));
        let log = log();
        log.split_inclusive('\n').filter(|line| wanted.contains(&plain(line.trim_end()))).collect()
    }

    /// Waits until nothing is going on that a command could catch halfway.
    /// A project that was made just now is left alone until nothing in it changed for a while.
    fn at_rest(&self) {
        let made = fs::metadata(self.home.path()).and_then(|home| home.modified());
        let marker = self.home.path().join("PROJECTS");
        let made = fs::metadata(marker).and_then(|projects| projects.modified()).or(made);
        let quiet = Duration::from_secs(4);
        until("what was made is at rest", || {
            let age = made.as_ref().ok().and_then(|made| made.elapsed().ok());
            age.is_none_or(|age| age > quiet).then_some(())
        });
    }

    fn rest(&self) {
        until("the daemon rests", || {
            let status = self.home.json(&["status"]);
            let count = |state: &str| status["queue"][state].as_u64().unwrap_or_default();
            let scanned = !status["discovery"]["last_scan"].is_null();
            let well = status["cloud"]["state"] == "online" && status["paused"] == false;
            let gone =
                !well && status["cloud"]["state"] != "unknown" || count("ready") + count("delayed") == 0;
            // What there is was told to the cloud, and what came of it is known.
            let asked = status["cloud"]["state"] != "unknown" || status["projects"]["total"] == 0;
            (scanned && asked && count("in_flight") == 0 && gone).then_some(())
        });
    }

    fn is_stopped(&mut self) -> bool {
        self.daemon.as_mut().is_some_and(|daemon| daemon.has_ended().is_some())
    }
}

/// A line of the log without what is different each time, or for each number of cores.
fn plain(line: &str) -> String {
    Mask::new().text(line)
}

/// Runs what a document shows; what differs, and the document as it should be.
fn check(path: &str, document: &str) -> (Vec<String>, String) {
    let mut scene = Scene::new();
    let mut lines: Vec<String> = document.lines().map(str::to_owned).collect();
    let (mut expected, mut printed) = (Mask::new(), Mask::new());
    let mut differences = Vec::new();
    let blocks = blocks(document);
    let mut ran = Vec::new();
    for block in &blocks {
        if let Some(name) = &block.scene {
            scene.set(name);
        }
        let mut steps = Vec::new();
        for step in &block.steps {
            let output = scene.run(step);
            let (a, b) = (expected.text(&step.output), printed.text(&output));
            if a != b {
                let at = block.lines.start + 1;
                differences.push(format!(
                    "{path}:{at}: `{}` printed\n{output}\nand not\n{}\n",
                    step.command, step.output
                ));
            }
            steps.push(Step { command: step.command.clone(), output });
        }
        ran.push(steps);
    }
    for (block, steps) in blocks.iter().zip(&ran).rev() {
        lines.splice(block.lines.clone(), written(steps).lines().map(str::to_owned));
    }
    (differences, lines.join("\n") + "\n")
}

/// The documents with commands of ours, by their path from the root of the repository.
fn documents() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a repository");
    let listed = Command::new("git")
        .arg("-C")
        .arg(root)
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", "*.md"])
        .output();
    let mut paths: Vec<PathBuf> = match listed {
        Ok(listed) if listed.status.success() => String::from_utf8_lossy(&listed.stdout)
            .split('\0')
            .filter(|path| !path.is_empty())
            .map(PathBuf::from)
            .collect(),
        // A source archive has no git; the README is there.
        Ok(_) | Err(_) => vec![PathBuf::from("README.md")],
    };
    paths.sort();
    let read = |path: PathBuf| fs::read_to_string(root.join(&path)).ok().map(|text| (root.join(path), text));
    paths.into_iter().filter_map(read).filter(|(_, text)| !blocks(text).is_empty()).collect()
}

#[test]
fn what_the_documents_show_is_what_is_printed() {
    let update = std::env::vars_os().any(|(name, _)| name == "UPDATE");
    let documents = documents();
    assert!(documents.iter().any(|(path, _)| path.ends_with("README.md")), "the README has commands");
    program("coditect-sync");
    let outcomes: Vec<(Vec<String>, String)> = std::thread::scope(|scope| {
        let runs: Vec<_> = documents
            .iter()
            .map(|(path, text)| scope.spawn(move || check(&path.display().to_string(), text)))
            .collect();
        runs.into_iter().map(|run| run.join().expect("the document is run to its end")).collect()
    });
    let mut differences = Vec::new();
    for ((path, text), (different, renewed)) in documents.iter().zip(outcomes) {
        if update && !different.is_empty() && *text != renewed {
            fs::write(path, renewed).expect("the document");
        } else {
            differences.extend(different);
        }
    }
    assert!(differences.is_empty(), "renew them with UPDATE=1\n{}", differences.join("\n"));
}

#[test]
fn a_document_that_shows_something_else_is_noticed() {
    let document = "# A\n\n```text\n$ coditect-sync resolve ~/PROJECTS/looms/src\nnothing\n```\n";
    let (differences, renewed) = check("a.md", document);
    assert_eq!(differences.len(), 1, "{differences:#?}");
    assert!(
        renewed.starts_with("# A\n\n```text\n$ coditect-sync resolve") && renewed.ends_with("\n```\n"),
        "{renewed}"
    );
    assert!(!renewed.contains("nothing") && is_uuid(renewed.lines().nth(4).unwrap_or_default()), "{renewed}");
    assert_eq!(check("a.md", &renewed).0, [""; 0]);
}

#[test]
fn what_is_different_each_time_is_the_same_and_nothing_else() {
    let check = |one: &str, other: &str, same: bool| {
        assert_eq!(plain(one) == plain(other), same, "{one} | {other} | {} | {}", plain(one), plain(other));
    };
    check("up 1 s", "up 3 m", true);
    check("1 s ago, 10 ms: 4 found", "just now, 9 ms: 4 found", true);
    check("4 found", "5 found", false);
    check("daemon 0.1.0, pid 20187, up 1 s", "daemon 12.4.1, pid 7, up 2 h", true);
    check("online at http://127.0.0.1:42299 for 1 s", "online at http://127.0.0.1:80 for 1 s", true);
    check("http://127.0.0.1:1", "http://127.0.0.2:1", false);
    check("2026-11-23T05:34:41.7Z INFO", "2027-01-02T15:00:00Z INFO", true);
    check("NAME    PATH", "NAME  PATH", true);
    let (a, b) = ("42de3f9a-1111-4222-8333-444444444444", "043c5c05-1111-4222-8333-444444444444");
    check(&format!("{a} {b} {a}"), &format!("{b} {a} {b}"), true);
    check(&format!("{a} {b} {a}"), &format!("{b} {a} {a}"), false);
}

#[test]
fn blocks_are_commands_and_what_they_print() {
    let document = "```json\n{}\n```\n\n<!-- the cloud is well -->\n```text\n$ coditect-sync queue\na\nb\n\n$ coditect-sync stop\n```\n";
    let found = blocks(document);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].scene.as_deref(), Some("the cloud is well"));
    let said: Vec<(&str, &str)> = found[0].steps.iter().map(|step| (&*step.command, &*step.output)).collect();
    assert_eq!(said, [("coditect-sync queue", "a\nb"), ("coditect-sync stop", "")]);
    assert_eq!(written(&found[0].steps), "$ coditect-sync queue\na\nb\n$ coditect-sync stop\n");
    assert_eq!(blocks("$ coditect-sync queue\n"), [], "what is not in a block is not run");
}

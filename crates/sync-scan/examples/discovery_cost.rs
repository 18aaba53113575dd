//! What finding projects and hashing what they hold costs, beside other programs that do a part of it.
//!
//! `cargo run --release -p sync-scan --example discovery_cost -- generate FOLDER [PROJECTS]` makes a tree, the same one
//! every time; `… -- compare FOLDER [RUNS]` measures in it. Processor time of whole processes, started one after the
//! other in turn, is what counts; the median run of each is shown. Needs git; `fd` (or `fdfind`), `find` and `ein` are
//! taken along where they are installed. Linux only, because that tells what children used.

use std::error::Error;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicBool;

use sync_scan::{Lookout, Options, Task, Turn};

type Outcome = Result<(), Box<dyn Error>>;

/// Processor time is told in hundredths of a second, so short commands are run this often for one figure.
const REPEATS: u32 = 5;
/// In a folder of its own: a root that is a work tree is walked on, which is not what is measured.
const BIG: &str = "large/big";
const BIG_FILES: usize = 13_000;
const UNTRACKED: usize = 2_000;

fn main() -> Outcome {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["generate", folder] => generate(Path::new(folder), 1_000),
        ["generate", folder, projects] => generate(Path::new(folder), projects.parse()?),
        ["compare", folder] => compare(Path::new(folder), 5),
        ["compare", folder, runs] => compare(Path::new(folder), runs.parse()?),
        ["find", folder] => {
            say(&sync_scan::find(&options(folder), &AtomicBool::new(false)).len().to_string())
        }
        ["examine", folder, shelf @ ..] => examine(folder, shelf.first().map(PathBuf::from)),
        _ => Err("generate FOLDER [PROJECTS] | compare FOLDER [RUNS] | find FOLDER | examine FOLDER [SHELF]"
            .into()),
    }
}

fn options(folder: &str) -> Options {
    Options { roots: vec![PathBuf::from(folder)], exclude: Vec::new(), max_depth: 8, follow_symlinks: false }
}

/// Examines every project below the folder and prints the last one's hash.
fn examine(folder: &str, shelf: Option<PathBuf>) -> Outcome {
    let mut lookout = Lookout::new(options(folder), None, shelf);
    let turn = Turn { task: Task::Everything, now_ms: 0, quiet_ms: 0, most_ms: 0 };
    let seen = lookout.turn(&turn, &AtomicBool::new(false));
    let sightings = seen.surveys.iter().flat_map(|survey| &survey.sightings);
    say(&sightings.last().map_or_else(String::new, |last| last.content_hash.clone()))
}

/// A home: projects of a few kinds in groups, dependencies beside the manifests, and one large project.
fn generate(folder: &Path, projects: usize) -> Outcome {
    for number in 0..projects {
        let root = folder.join(format!("group{}/team{}/project{number}", number % 7, number % 31));
        let files = 20 + (number * 37) % 260;
        sources(&root, files)?;
        fs::write(root.join(".gitignore"), "node_modules/\ntarget/\n")?;
        commit(&root)?;
        if number % 5 == 0 {
            for package in 0..60 {
                sources(&root.join(format!("node_modules/package{package}")), 12)?;
            }
        }
    }
    let big = folder.join(BIG);
    sources(&big, BIG_FILES)?;
    fs::write(big.join(".gitignore"), "*.log\nbuild/\n")?;
    commit(&big)
}

fn sources(root: &Path, count: usize) -> Outcome {
    fs::create_dir_all(root)?;
    fs::write(root.join("package.json"), format!("{{\"name\": \"p{count}\"}}\n"))?;
    for number in 0..count {
        let folder = root.join(format!("src/part{}/deep{}", number % 17, number / 200));
        fs::create_dir_all(&folder)?;
        let text = format!("export const value{number} = {number};\n").repeat(1 + number % 40);
        fs::write(folder.join(format!("module{number}.ts")), text)?;
    }
    Ok(())
}

fn commit(root: &Path) -> Outcome {
    git(root, &["init", "--quiet"])?;
    git(root, &["add", "-A"])?;
    git(root, &["-c", "user.name=A", "-c", "user.email=a@example.org", "commit", "--quiet", "-m", "first"])
}

fn git(root: &Path, arguments: &[&str]) -> Outcome {
    let status = Command::new("git")
        .args(arguments)
        .current_dir(root)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .status()?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("git {arguments:?} in {}: {status}", root.display()).into())
    }
}

fn compare(folder: &Path, runs: usize) -> Outcome {
    let folder = folder.canonicalize()?;
    let at = folder.to_str().ok_or("the folder's name has to be UTF-8")?;
    let own = std::env::current_exe()?;
    let own = own.to_str().ok_or("this program's name has to be UTF-8")?;
    say("finding")?;
    let mut finders = vec![vec![own, "find", at]];
    // With what is never a project's left out, and nothing read below what was found.
    let fd = "-HI -t d --prune -E node_modules -E target -E .venv ^\\.git$";
    for name in ["fd", "fdfind"] {
        finders.push([name].into_iter().chain(fd.split(' ')).chain([at]).collect());
    }
    let find = "-name node_modules -prune -o -name .git -print -prune";
    finders.push(["find", at].into_iter().chain(find.split(' ')).collect());
    finders.push(vec!["ein", "tool", "find", at]);
    table(&finders, runs, 1)?;

    let big = folder.join(BIG);
    let shelf = std::env::temp_dir().join(format!("discovery-cost-{}", std::process::id()));
    let temporary = shelf.join("git");
    fs::create_dir_all(temporary.join("objects"))?;
    let outcome = content(&big, &shelf, own, runs);
    fs::remove_dir_all(&shelf)?;
    outcome
}

fn content(big: &Path, shelf: &Path, own: &str, runs: usize) -> Outcome {
    let at = big.to_str().ok_or("the folder's name has to be UTF-8")?;
    let around = at.strip_suffix("/big").ok_or("the large project is called `big`")?;
    let kept = shelf.join("kept");
    let kept = kept.to_str().ok_or("the temporary folder's name has to be UTF-8")?;
    let index = shelf.join("git/index");
    let objects = shelf.join("git/objects");
    // As somebody would who must not write to the repository.
    let write_tree = format!(
        "cp '{at}/.git/index' '{}' && export GIT_INDEX_FILE='{0}' GIT_OBJECT_DIRECTORY='{}' \
         GIT_ALTERNATE_OBJECT_DIRECTORIES='{at}/.git/objects' && rm -rf \"$GIT_OBJECT_DIRECTORY\"/* && \
         git -C '{at}' add -A && git -C '{at}' write-tree",
        index.display(),
        objects.display()
    );
    let others = [
        vec![own, "examine", around],
        vec![own, "examine", around, kept],
        vec!["git", "--no-optional-locks", "-C", at, "status", "--porcelain", "-uall"],
        vec!["sh", "-c", &write_tree],
    ];
    say("\nhashing, clean (ours without and with what is kept)")?;
    table(&others, runs, 1)?;

    let file = big.join("src/part3/deep0/module3.ts");
    let before = fs::read(&file)?;
    fs::write(&file, "export const other = 1;\n")?;
    say("\nhashing, one file changed")?;
    table(&others, runs, 1)?;
    fs::write(&file, before)?;

    let untracked = big.join("untracked");
    sources(&untracked, UNTRACKED)?;
    say("\nhashing, 2,000 files not tracked")?;
    let outcome = table(&others, runs, 1);
    fs::remove_dir_all(untracked)?;
    outcome
}

/// Runs the commands in turn, so that what else the machine does meets all of them.
fn table(commands: &[Vec<&str>], runs: usize, warm_up: usize) -> Outcome {
    let installed: Vec<&Vec<&str>> =
        commands.iter().filter(|command| command.first().is_some_and(|name| is_installed(name))).collect();
    let mut times: Vec<Vec<f64>> = vec![Vec::new(); installed.len()];
    for run in 0..runs + warm_up {
        for (command, times) in installed.iter().zip(&mut times) {
            let taken = processor_ms(command)?;
            if run >= warm_up {
                times.push(taken);
            }
        }
    }
    let mut first = None;
    for (command, mut times) in installed.iter().zip(times) {
        times.sort_by(f64::total_cmp);
        let median = times.get(times.len() / 2).copied().unwrap_or_default();
        let ratio = median / *first.get_or_insert(median);
        let shown: Vec<&str> =
            command.iter().map(|word| word.rsplit('/').next().unwrap_or(word)).take(4).collect();
        say(&format!("{median:>9.1} ms  {ratio:>6.2}  {}", shown.join(" ")))?;
    }
    Ok(())
}

fn is_installed(name: &str) -> bool {
    name.starts_with('/')
        || Command::new(name).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

/// Processor time of one run of a command, in milliseconds.
fn processor_ms(command: &[&str]) -> Result<f64, Box<dyn Error>> {
    let (name, arguments) = command.split_first().ok_or("no command")?;
    let before = children_ticks()?;
    for _ in 0..REPEATS {
        let status =
            Command::new(name).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status()?;
        if !status.success() {
            return Err(format!("{command:?}: {status}").into());
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "a few thousand at most")]
    let ticks = (children_ticks()? - before) as f64;
    Ok(ticks * 10.0 / f64::from(REPEATS))
}

/// What children that ended used of the processors, in hundredths of a second.
fn children_ticks() -> Result<u64, Box<dyn Error>> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    // The name, in brackets, may hold blanks.
    let rest = stat.rsplit_once(')').ok_or("no name")?.1;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let field = |at: usize| fields.get(at).and_then(|text| text.parse::<u64>().ok());
    Ok(field(13).ok_or("no time")? + field(14).ok_or("no time")?)
}

fn say(line: &str) -> Outcome {
    writeln!(std::io::stdout().lock(), "{line}")?;
    Ok(())
}

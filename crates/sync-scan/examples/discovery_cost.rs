//! What finding projects and hashing what they hold costs, beside other programs that do a part of it.
//!
//! `cargo run --release -p sync-scan --example discovery_cost -- generate FOLDER [PROJECTS]` makes a tree, the same one
//! every time; `… -- compare FOLDER [RUNS]` measures in it. Processor time of whole processes, started one after the
//! other in turn, is what counts; the median run of each is shown. Cold runs begin with what the kernel remembers of
//! the disk thrown away, which takes root. Fails when something is not found, or found that is no project. Needs git and
//! bash; `fd` (or `fdfind`), `find` and `ein` are taken along where they are installed.

use std::collections::BTreeSet;
use std::error::Error;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicBool;

use sync_scan::{Lookout, Options, Task, Turn};

type Outcome = Result<(), Box<dyn Error>>;

/// How often each command is run in each round.
const REPEATS: usize = 3;
/// Where `generate` writes down what is a project.
const TRUTH: &str = "projects.txt";
/// What finding may cost of what `ein tool find` does.
const MOST_OF_EIN: f64 = 0.15;
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
            let roots = sync_scan::find(&options(folder), &AtomicBool::new(false));
            say(&roots.iter().map(|root| root.to_string_lossy()).collect::<Vec<_>>().join("\n"))
        }
        ["examine", folder, shelf @ ..] => examine(folder, shelf.first().map(PathBuf::from)),
        _ => Err("generate FOLDER [PROJECTS] | compare FOLDER [RUNS] | find FOLDER | examine FOLDER [SHELF]"
            .into()),
    }
}

fn options(folder: &str) -> Options {
    Options { roots: vec![PathBuf::from(folder)], ..Options::default() }
}

/// Examines every project below the folder and prints the last one's hash.
fn examine(folder: &str, shelf: Option<PathBuf>) -> Outcome {
    let mut lookout = Lookout::new(options(folder), None, shelf);
    let turn = Turn { task: Task::Everything, now_ms: 0, quiet_ms: 0, most_ms: 0 };
    let seen = lookout.turn(&turn, &AtomicBool::new(false));
    let sightings = seen.surveys.iter().flat_map(|survey| &survey.sightings);
    say(&sightings.last().map_or_else(String::new, |last| last.content_hash.clone()))
}

/// A home: projects of a few kinds in groups, dependencies beside the manifests, one large project, and here and there
/// what is no project but looks like one.
fn generate(folder: &Path, projects: usize) -> Outcome {
    let mut truth = vec![BIG.to_owned()];
    for number in 0..projects {
        let root = folder.join(format!("group{}/team{}/project{number}", number % 7, number % 31));
        let files = 20 + (number * 37) % 260;
        sources(&root, files)?;
        fs::write(root.join(".gitignore"), "node_modules/\ntarget/\n")?;
        commit(&root)?;
        truth.push(format!("group{}/team{}/project{number}", number % 7, number % 31));
        match number % 50 {
            // A dependency that was fetched with git, a mirror, and what a broken clone leaves.
            0 => commit_of(&root.join("node_modules/fetched"))?,
            1 => git(folder, &["init", "--quiet", "--bare", &format!("group1/mirror{number}.git")])?,
            2 => fs::create_dir_all(folder.join(format!("group2/broken{number}/.git")))?,
            _ => {}
        }
        if number % 5 == 0 {
            for package in 0..60 {
                sources(&root.join(format!("node_modules/package{package}")), 12)?;
            }
        }
    }
    let big = folder.join(BIG);
    sources(&big, BIG_FILES)?;
    fs::write(big.join(".gitignore"), "*.log\nbuild/\n")?;
    commit(&big)?;
    leavings(folder)?;
    truth.sort();
    fs::write(folder.join(TRUTH), truth.join("\n"))?;
    Ok(())
}

/// What package managers and caches leave in a home, outside of all projects.
fn leavings(folder: &Path) -> Outcome {
    const PLACES: [&str; 3] = [".cargo/registry/src", "go/pkg/mod", ".cache"];
    for number in 0..40_000 {
        let place = PLACES[number % PLACES.len()];
        let at = folder.join(place).join(format!("part{}/package{number}", number % 200));
        fs::create_dir_all(&at)?;
        for file in 0..3 {
            fs::write(at.join(format!("file{file}")), "text\n")?;
        }
    }
    Ok(())
}

/// A repository with a few files and a commit.
fn commit_of(root: &Path) -> Outcome {
    sources(root, 3)?;
    commit(root)
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
    let mut finders = vec![vec![own, "find", at]];
    // With what is never a project's left out, and nothing read below what was found.
    let fd = "-HI -t d --prune -E node_modules -E target -E .venv ^\\.git$";
    for name in ["fd", "fdfind"] {
        finders.push([name].into_iter().chain(fd.split(' ')).chain([at]).collect());
    }
    let find = "-name node_modules -prune -o -name .git -print -prune";
    finders.push(["find", at].into_iter().chain(find.split(' ')).collect());
    finders.push(vec!["ein", "-q", "tool", "find", at]);
    finders.retain(|finder| finder.first().is_some_and(|name| is_installed(name)));
    let truth = fs::read_to_string(folder.join(TRUTH))?;
    let truth: BTreeSet<PathBuf> = truth.lines().map(|line| folder.join(line)).collect();
    let mut is_whole = true;
    say(&format!("finding: {} projects", truth.len()))?;
    for (at, finder) in finders.iter().enumerate() {
        let found = found_by(finder, &folder)?;
        let right = found.intersection(&truth).count();
        let (recall, precision) = (percent(right, truth.len()), percent(right, found.len()));
        say(&format!(
            "{:>9} found, recall {recall:.1} %, precision {precision:.1} %  {}",
            found.len(),
            shown(finder)
        ))?;
        is_whole &= at > 0 || found == truth;
    }
    if !is_whole {
        return Err("what was found is not what is there".into());
    }
    say("\nfinding, warm")?;
    judge(&finders, &table(&finders, runs, Cache::Warm)?)?;
    say("\nfinding, cold")?;
    if throw_cache_away().is_ok() {
        judge(&finders, &table(&finders, runs, Cache::Cold)?)?;
    } else {
        say("left out: throwing away what the kernel remembers of the disk takes root")?;
    }

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
    table(&others, runs, Cache::Warm)?;

    let file = big.join("src/part3/deep0/module3.ts");
    let before = fs::read(&file)?;
    fs::write(&file, "export const other = 1;\n")?;
    say("\nhashing, one file changed")?;
    table(&others, runs, Cache::Warm)?;
    fs::write(&file, before)?;

    let untracked = big.join("untracked");
    sources(&untracked, UNTRACKED)?;
    say("\nhashing, 2,000 files not tracked")?;
    let outcome = table(&others, runs, Cache::Warm).map(drop);
    fs::remove_dir_all(untracked)?;
    outcome
}

/// What a command that lists repositories found.
fn found_by(command: &[&str], folder: &Path) -> Result<BTreeSet<PathBuf>, Box<dyn Error>> {
    let (name, arguments) = command.split_first().ok_or("no command")?;
    let output = Command::new(name).args(arguments).current_dir(folder).stderr(Stdio::null()).output()?;
    let root = |line: &str| {
        let path = folder.join(line.trim().trim_end_matches('/'));
        if path.ends_with(".git") { path.parent().map_or(path.clone(), Path::to_path_buf) } else { path }
    };
    Ok(String::from_utf8(output.stdout)?.lines().filter(|line| !line.is_empty()).map(root).collect())
}

#[expect(clippy::cast_precision_loss, reason = "a few thousand at most")]
fn percent(part: usize, whole: usize) -> f64 {
    part as f64 * 100.0 / whole.max(1) as f64
}

/// Says whether the first of the commands keeps what is asked of it beside the others.
fn judge(commands: &[Vec<&str>], medians: &[f64]) -> Outcome {
    let Some(own) = medians.first() else { return Ok(()) };
    for (command, other) in commands.iter().zip(medians) {
        let most = match command.first() {
            Some(&"ein") => MOST_OF_EIN,
            Some(&("fd" | "fdfind")) => 1.0,
            Some(_) | None => continue,
        };
        let ratio = own / other;
        let verdict = if ratio <= most { "holds" } else { "does not hold" };
        say(&format!("           {ratio:.3} of {}, at most {most} is asked: {verdict}", shown(command)))?;
    }
    Ok(())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Cache {
    Warm,
    Cold,
}

/// Has the kernel forget files, folders and names.
fn throw_cache_away() -> Outcome {
    if !Command::new("sync").status()?.success() {
        return Err("sync".into());
    }
    Ok(fs::write("/proc/sys/vm/drop_caches", "3")?)
}

/// Runs the commands in turn, so that what else the machine does meets all of them; the medians of processor time.
fn table(commands: &[Vec<&str>], runs: usize, cache: Cache) -> Result<Vec<f64>, Box<dyn Error>> {
    let mut costs: Vec<Vec<Cost>> = vec![Vec::new(); commands.len()];
    let (repeats, warm_up) = if cache == Cache::Warm { (REPEATS, 1) } else { (1, 0) };
    for run in 0..runs + warm_up {
        for (command, costs) in commands.iter().zip(&mut costs) {
            for _ in 0..repeats {
                if cache == Cache::Cold {
                    throw_cache_away()?;
                }
                let cost = cost(command)?;
                if run >= warm_up {
                    costs.push(cost);
                }
            }
        }
    }
    let median = |costs: &[Cost], of: fn(&Cost) -> f64| {
        let mut values: Vec<f64> = costs.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
    };
    let mut medians = Vec::new();
    for (command, costs) in commands.iter().zip(&costs) {
        let (cpu, wall) = (median(costs, |cost| cost.cpu_ms), median(costs, |cost| cost.wall_ms));
        medians.push(cpu);
        let ratio = cpu / medians.first().copied().unwrap_or(f64::NAN);
        say(&format!("{cpu:>9.1} ms  {ratio:>6.2}  ({wall:.0} ms in all)  {}", shown(command)))?;
    }
    Ok(medians)
}

fn shown(command: &[&str]) -> String {
    let words = command.iter().map(|word| word.rsplit('/').next().unwrap_or(word)).take(4);
    words.collect::<Vec<_>>().join(" ")
}

fn is_installed(name: &str) -> bool {
    name.starts_with('/')
        || Command::new(name).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

/// What one run of a command took.
#[derive(Clone, Copy)]
struct Cost {
    cpu_ms: f64,
    wall_ms: f64,
}

/// Runs a command once. The shell tells thousandths of a second where `/proc` has hundredths.
fn cost(command: &[&str]) -> Result<Cost, Box<dyn Error>> {
    const TIMED: &str = "TIMEFORMAT='%3R %3U %3S'; time \"$@\" >/dev/null 2>&1 || exit 1";
    let output = Command::new("bash").args(["-c", TIMED, "bash"]).args(command).output()?;
    if !output.status.success() {
        return Err(format!("{command:?}: {}", output.status).into());
    }
    let told = String::from_utf8(output.stderr)?.replace(',', ".");
    let times = told.split_ascii_whitespace().map(str::parse).collect::<Result<Vec<f64>, _>>()?;
    let [wall, user, system] = times[..] else { return Err(format!("{command:?}: {told}").into()) };
    Ok(Cost { cpu_ms: (user + system) * 1000.0, wall_ms: wall * 1000.0 })
}

fn say(line: &str) -> Outcome {
    writeln!(std::io::stdout().lock(), "{line}")?;
    Ok(())
}

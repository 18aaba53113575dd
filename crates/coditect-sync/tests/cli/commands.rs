//! Each command against a daemon that says what it is told to: what is asked, what is shown, how it ends.

use crate::support::{Home, Reply, Run, ago, ahead, ok};

const LOCAL: &str = "11111111-1111-4111-8111-111111111111";
const CLOUD: &str = "22222222-2222-4222-8222-222222222222";

/// Runs a command twice, for people and for programs; the second prints what the daemon said, as it was said.
fn check(name: &str, arguments: &[&str], replies: &[Reply]) -> Vec<String> {
    let home = Home::new();
    let daemon = home.daemon(replies.to_vec());
    let shown = home.run(arguments);
    let requests = daemon.join().expect("all was asked for");
    insta::assert_snapshot!(name.replace(' ', "-"), shown);

    let home = Home::new();
    let daemon = home.daemon(replies.to_vec());
    let Run { exit, stdout, stderr } = home.run(&[arguments, &["--json"]].concat());
    daemon.join().expect("all was asked for");
    assert_eq!((exit, stderr.as_str()), (shown.exit, ""), "{name}");
    serde_json::from_str::<serde_json::Value>(&stdout).expect("one JSON document");
    requests
}

/// The same for commands whose document is the daemon's own.
fn check_verbatim(name: &str, arguments: &[&str], replies: &[Reply]) -> Vec<String> {
    let home = Home::new();
    let daemon = home.daemon(replies.to_vec());
    let run = home.run(&[arguments, &["--json"]].concat());
    daemon.join().expect("all was asked for");
    assert_eq!(run.stdout.trim_end(), replies[0].body, "{name}");
    check(name, arguments, replies)
}

fn problem(status: &'static str, code: &str, more: &str) -> Reply {
    let number = &status[..3];
    Reply {
        status,
        body: format!(
            r#"{{"type":"urn:coditect-sync:problem:{code}","title":"t","status":{number},"code":"{code}","detail":"what is wrong"{more}}}"#
        ),
    }
}

pub(crate) fn status(state: &str, more: &[(&str, &str)]) -> Reply {
    let mut text = r#"{"version":"0.1.0","api":1,"pid":42,"started_at":"STARTED","uptime_seconds":11000,"paused":false,
        "machine_uuid":"33333333-3333-4333-8333-333333333333","tenant_id":"acme",
        "cloud":{"api_url":"https://api.coditect.ai","state":"STATE","since":"SINCE","last_success_at":null,"last_error":null,"next_attempt_at":null},
        "queue":{"ready":0,"delayed":0,"in_flight":0,"parked":0,"dead":0,"oldest_enqueued_at":null},
        "cache":{"entries":30,"fresh":28,"stale":2},
        "projects":{"total":30,"registered":28,"pending":2,"missing":0,"rejected":0},
        "discovery":{"roots":[{"path":"/home/ada/PROJECTS","state":"watching","projects":30}],"watches":210,
            "last_scan":{"started_at":"SCANNED","duration_ms":120,"found":30,"added":1,"changed":0,"missing":0}}}"#
        .replace('\n', " ");
    for (from, to) in more {
        assert!(text.contains(from), "{from}");
        text = text.replace(from, to);
    }
    for (from, to) in
        [("STATE", state), ("STARTED", &ago(11_000)), ("SINCE", &ago(190)), ("SCANNED", &ago(7_300))]
    {
        text = text.replace(from, to);
    }
    ok(text)
}

fn project(name: &str, root: &str, state: &str) -> String {
    format!(
        r#"{{"local_project_uuid":"{LOCAL}","project_name":"{name}","root_path":"{root}","root_path_exact":null,
        "primary_language":"Rust","framework":"","content_hash":"abc123","project_type":"standalone",
        "parent_project_uuid":null,"vcs":"git","state":"{state}","cloud_uuid":"{CLOUD}",
        "registration_status":"registered","first_seen_at":"{}","seen_at":"{}",
        "queue_item":{{"id":7,"state":"delayed","attempts":2,"next_attempt_at":"{}",
        "last_error":{{"code":"http_500","message":"the cloud failed","at":"{}"}}}},"of_tomorrow":[1]}}"#,
        ago(90_000),
        ago(190),
        ahead(299),
        ago(65)
    )
    .replace('\n', " ")
}

fn item(id: u32, state: &str) -> String {
    format!(
        r#"{{"id":{id},"local_project_uuid":"{LOCAL}","project_name":"api","root_path":"/home/ada/PROJECTS/api",
        "state":"{state}","revision":3,"attempts":2,"next_attempt_at":"{}","enqueued_at":"{}","asked_by":"user",
        "last_error":{{"code":"http_422","message":"the name is taken","at":"{}"}}}}"#,
        ahead(299),
        ago(7_300),
        ago(65)
    )
    .replace('\n', " ")
}

fn result(success: bool, status: &str, queued: bool) -> Reply {
    let cloud = if queued || !success { "null".to_owned() } else { format!("\"{CLOUD}\"") };
    let error = if success { "null" } else { "\"the folder is no project\"" };
    ok(format!(
        r#"{{"local_project_uuid":"{LOCAL}","success":{success},"cloud_uuid":{cloud},"status":"{status}","queued":{queued},"error":{error}}}"#
    ))
}

#[test]
fn the_status_is_one_screen_that_ends_with_what_to_do() {
    check_verbatim("status online", &["status"], &[status("online", &[])]);
    let problems = r#""problems":["/home/ada/a: permission denied","/b: gone","/c: gone","/d: gone","/e: gone"],"watches":"#;
    check_verbatim(
        "status with unread places",
        &["status"],
        &[status("online", &[("\"watches\":", problems)])],
    );
    let arriving = [(r#""watches":210"#, r#""watches":210,"arriving":2"#)];
    check_verbatim("status with new projects", &["status"], &[status("online", &arriving)]);
    check_verbatim("status of tomorrow", &["status", "-v"], &[status("dreaming", &[])]);
    let error = format!(
        r#""last_error":{{"code":"unreachable_dns","message":"cannot find api.coditect.ai","at":"{}"}},"next_attempt_at":"{}""#,
        ago(65),
        ahead(299)
    );
    let offline = [
        (r#""last_error":null,"next_attempt_at":null"#, error.as_str()),
        (r#""ready":0,"delayed":0"#, r#""ready":1,"delayed":4"#),
        (r#""oldest_enqueued_at":null"#, &format!(r#""oldest_enqueued_at":"{}""#, ago(3_700))),
    ];
    check_verbatim("status offline", &["status"], &[status("offline", &offline)]);
    let spared = format!(r#""next_attempt_at":"{0}","spared_until":"{0}""#, ahead(299));
    let sparing = [
        (r#""next_attempt_at":null"#, spared.as_str()),
        (r#""ready":0,"delayed":0"#, r#""ready":3,"delayed":0"#),
    ];
    check_verbatim("status sparing the cloud", &["status"], &[status("online", &sparing)]);
    let much = [
        (r#""paused":false"#, r#""paused":true"#),
        (r#""parked":0,"dead":0"#, r#""parked":1,"dead":2"#),
        (r#""state":"watching""#, r#""state":"missing""#),
        (
            r#""roots":["#,
            r#""roots":[{"path":"/srv","state":"denied","projects":0},{"path":"/mnt","state":"polling","projects":0},"#,
        ),
        (r#""tenant_id":"acme""#, r#""tenant_id":null"#),
    ];
    check_verbatim("status with much to do", &["status"], &[status("auth_required", &much)]);
    let hold = |by: &str, stops: &str| {
        let since = ago(190);
        format!(
            r#"{{"by":"{by}","stops":"{stops}","since":"{since}","until":null,"reason":"reason of {by}","ends":"one day"}}"#
        )
    };
    let holds = [
        hold("metered", "sending"),
        hold("low_battery", "sweeps"),
        hold("disk", "queueing"),
        hold("credential", "sending"),
        hold("configuration", "reloads"),
        hold("legacy", "imports"),
        hold("log", "logging"),
    ];
    let pause =
        format!(r#"{{"by":"metered","since":"{}","until":null,"reason":"reason of metered"}}"#, ago(190));
    let all = format!(r#""paused":true,"pause":{pause},"holds":[{}]"#, holds.join(","));
    let much = [(r#""paused":false"#, all.as_str())];
    check_verbatim("status held", &["status"], &[status("auth_required", &much)]);
    for state in ["portal", "throttled", "forbidden", "protocol"] {
        check(&format!("status {state}"), &["status"], &[status(state, &offline)]);
    }
}

#[test]
fn registering_says_what_became_of_it() {
    let asked = check_verbatim("register", &["register"], &[result(false, "queued", true)]);
    assert!(asked[0].starts_with(r#"POST /v1/projects {"root_path":"/"#), "{asked:?}");
    check_verbatim("register quietly", &["register", "-q"], &[result(true, "registered", false)]);
    check_verbatim("register cached", &["register", "--wait=5s"], &[result(true, "cached", false)]);
    let refused = Reply {
        status: "422 No\r\ncontent-type: application/json",
        body: result(false, "error", false).body,
    };
    check_verbatim("register error", &["register", "-q"], &[refused]);
    let refused = result(false, "error", false);
    let entry = project("api", "/home/ada/PROJECTS/api", "rejected").replace("delayed", "dead");
    let replies = [refused.clone(), ok(entry)];
    let asked = check_verbatim("register waited in vain", &["register", "--wait=5s"], &replies);
    assert_eq!(asked[1], format!("GET /v1/projects/{LOCAL}"));
    let none = problem("404 No", "not_found", "");
    check_verbatim("register waited for what is none", &["register", "--wait=5s"], &[refused, none]);
    for (name, state) in [("queued", "offline"), ("refused", "auth_required"), ("forbidden", "forbidden")] {
        let replies = [result(false, "queued", true), status(state, &[])];
        check_verbatim(&format!("register waited {name}"), &["register", "--wait=5s"], &replies);
    }
    let paused = status("online", &[(r#""paused":false"#, r#""paused":true"#)]);
    let replies = [result(false, "queued", true), paused];
    check_verbatim("register waited paused", &["register", "--wait=5s"], &replies);
    insta::assert_snapshot!("register-nowhere", Home::new().run(&["register", "nowhere"]));
}

#[test]
fn registering_passes_on_what_it_is_told() {
    let home = Home::new();
    std::fs::create_dir(home.path().join("api")).expect("made");
    let daemon = home.daemon(vec![result(true, "registered", false)]);
    let run = home.run(&[
        "register",
        "./api/../api",
        "--uuid",
        LOCAL,
        "--name=Api",
        "--language=Rust",
        "--framework=axum",
        "--type=monorepo",
        "--parent",
        CLOUD,
        "--content-hash=abc",
        "--force",
        "--wait",
    ]);
    assert_eq!(run.exit, 0, "{run}");
    let asked = daemon.join().expect("asked").join("\n").replace(&home.path().display().to_string(), "HOME");
    insta::assert_snapshot!("register-all-flags", asked);
}

/// A project as the daemon's look tells it.
fn inspection(root: &str, framework: &str, members: &str) -> String {
    let proof = |rule: &str, files: &str, found: &str, left_out: &str| {
        format!(r#"{{"rule":"{rule}","files":[{files}],"found":[{found}],"left_out":[{left_out}]}}"#)
    };
    let framework_proof = proof(
        "Next.js: the rule of rank 20",
        r#""package.json""#,
        r#""dependency next""#,
        r#""react: dependency react, but its rank is 48","vue: vue is only a peer dependency of package.json""#,
    );
    format!(
        r#"{{"root_path":"{root}","project_name":"shop","primary_language":"TypeScript","framework":"{framework}",
        "content_hash":"abc124","project_type":"monorepo","parent_root_path":null,"evidence":{{"version_control":"git",
        "root_path":{},"project_name":{},"primary_language":{},
        "languages":[{{"language":"TypeScript","bytes":900,"files":3}}],"framework":{framework_proof},"content_hash":{},
        "project_type":{},"members":[{members}],"parent_root_path":{}}},"warnings":["pom.xml cannot be understood: no"]}}"#,
        proof("a git work tree", r#"".git""#, "", ""),
        proof("the name the manifest gives", r#""package.json""#, "", ""),
        proof(
            "the language with the most bytes of programming and markup",
            "",
            r#""TypeScript 90.0 %, 900 bytes in 3 files","CSS 10.0 %, 100 bytes in 1 file""#,
            r#""vendored: 5000 bytes in 2 files, the largest is vendor/\u001b[31m.js""#
        ),
        proof("the tree `git add -A && git write-tree` would make from a copy of the index", "", r#""4 files""#, ""),
        proof("npm workspace of 8 packages", r#""package.json""#, "", ""),
        proof("it lies in no project", "", "", ""),
    )
    .replace('\n', " ")
}

#[test]
fn inspecting_shows_every_field_with_what_it_was_told_by() {
    let members: Vec<String> = (1..=8).map(|at| format!("\"packages/p{at}\"")).collect();
    let answer = |more: u32| {
        let seen = inspection("/home/ada/shop", "nextjs", &members.join(","));
        let record = project("shop", "/home/ada/shop", "registered");
        let api = inspection("/home/ada/api", "", "");
        ok(format!(
            r#"{{"projects":[{{"seen":{seen},"on_record":{record},"differs":["primary_language","content_hash"]}},
            {{"seen":{api},"on_record":null,"differs":[]}}],"more":{more},"problems":["/home/ada/x: permission denied"]}}"#
        ))
    };
    let asked = check_verbatim("inspect", &["inspect", "/home/ada/no such"], &[answer(3)]);
    assert_eq!(asked, ["GET /v1/discovery/inspect?path=/home/ada/no%20such"]);
    check("inspect verbosely", &["inspect", "-v", "/home/ada"], &[answer(0)]);
    let none = problem("404 Not Found", "not_found", "");
    check("inspect nothing", &["inspect", "/home/ada/none"], &[none]);
}

#[test]
fn resolving_prints_the_uuid_alone() {
    let answer = |stale: bool| {
        ok(format!(
            r#"{{"local_project_uuid":"{LOCAL}","cloud_uuid":"{CLOUD}","tenant_id":"acme","registration_status":"registered","source":"cache","stale":{stale},"cached_at":"{}","expires_at":"{}"}}"#,
            ago(90_000),
            ahead(119)
        ))
    };
    let asked = check_verbatim("resolve", &["resolve", LOCAL], &[answer(false)]);
    assert_eq!(asked, [format!("GET /v1/resolve?local_uuid={LOCAL}")]);
    let asked = check_verbatim("resolve a path", &["resolve", "/no such", "--refresh"], &[answer(true)]);
    assert_eq!(asked, ["GET /v1/resolve?path=/no%20such&refresh=true"]);
    check("resolve verbosely", &["resolve", "-v", LOCAL], &[answer(true)]);

    let item = format!(
        r#","queue_item":{{"id":7,"state":"delayed","attempts":2,"next_attempt_at":"{}","last_error":null}}"#,
        ahead(299)
    );
    check("resolve on its way", &["resolve", LOCAL], &[problem("404 No", "not_registered", &item)]);
    check("resolve unknown", &["resolve", LOCAL], &[problem("404 No", "not_registered", "")]);
}

#[test]
fn projects_are_listed_page_by_page_and_shown_one_by_one() {
    let page = |projects: &[String], cursor: &str| {
        ok(format!(r#"{{"projects":[{}],"next_cursor":{cursor}}}"#, projects.join(",")))
    };
    let (outer, inner) =
        (project("ada", "/home/ada", "registered"), project("a\\npi", "/home/ada/PROJECTS/api", "pending"));
    let pages = [page(std::slice::from_ref(&inner), "\"2\""), page(std::slice::from_ref(&outer), "null")];
    let asked = check("projects", &["projects"], &pages);
    assert_eq!(asked, ["GET /v1/projects", "GET /v1/projects?cursor=2"]);
    let asked = check(
        "projects list",
        &["projects", "list", "--state=pending", "--type=standalone", "--language=Rust", "--limit=1"],
        &pages,
    );
    // The first by path may come last.
    let filtered = "GET /v1/projects?state=pending&type=standalone&language=Rust";
    assert_eq!(asked, [filtered.to_owned(), format!("{filtered}&cursor=2")]);
    check("projects none", &["projects"], &[page(&[], "null")]);

    check_verbatim("projects show", &["projects", "show", LOCAL], &[ok(inner.clone())]);
    let given = r#""given":["project_name","primary_language","of_tomorrow"],"vcs""#;
    check("projects show given", &["projects", "show", LOCAL], &[ok(inner.replace("\"vcs\"", given))]);
    let both = page(&[outer, inner.clone()], "null");
    let asked = check(
        "projects show a path",
        &["projects", "show", "/home/ada/PROJECTS/api/src"],
        &[both.clone(), ok(inner)],
    );
    assert_eq!(asked[1], format!("GET /v1/projects/{LOCAL}"));
    check("projects show a strange path", &["projects", "show", "/elsewhere"], &[both]);
}

#[test]
fn the_queue_is_counted_listed_shown_and_worked_on() {
    let counts = r#"{"ready":1,"delayed":2,"in_flight":0,"parked":0,"dead":3,"oldest_enqueued_at":null}"#;
    check_verbatim("queue", &["queue"], &[ok(counts)]);
    let items = ok(format!(r#"{{"items":[{},{}],"next_cursor":null}}"#, item(7, "delayed"), item(8, "dead")));
    let asked = check("queue list", &["queue", "list"], std::slice::from_ref(&items));
    assert_eq!(asked, ["GET /v1/queue/items"]);
    let asked = check("queue list dead", &["queue", "list", "--state=dead"], &[items]);
    assert_eq!(asked, ["GET /v1/queue/items?state=dead"]);
    check("queue list nothing", &["queue", "list"], &[ok(r#"{"items":[],"next_cursor":null}"#)]);
    check_verbatim("queue show", &["queue", "show", "7"], &[ok(item(7, "parked"))]);
    let nothing = Reply { status: "204 No Content", body: String::new() };
    let asked = check("queue retry", &["queue", "retry", "7", "8"], &[ok("{}"), ok("{}")]);
    assert_eq!(asked, ["POST /v1/queue/items/7/retry", "POST /v1/queue/items/8/retry"]);
    let asked = check("queue retry dead", &["queue", "retry", "--dead"], &[ok(r#"{"retried":3}"#)]);
    assert_eq!(asked, ["POST /v1/queue/retry-dead"]);
    let asked = check("queue drop", &["queue", "drop", "7"], std::slice::from_ref(&nothing));
    assert_eq!(asked, ["DELETE /v1/queue/items/7"]);
    check("queue drop half", &["queue", "drop", "7", "8"], &[nothing, problem("404 No", "not_found", "")]);
}

#[test]
fn a_flush_tells_whether_all_is_there() {
    let answer =
        |remaining: u32, dead: u32| ok(format!(r#"{{"delivered":5,"remaining":{remaining},"dead":{dead}}}"#));
    let asked = check_verbatim("queue flush", &["queue", "flush"], &[answer(2, 0)]);
    assert_eq!(asked, [r#"POST /v1/queue/flush {"wait_ms":null}"#]);
    let asked = check_verbatim("queue flush waited", &["queue", "flush", "--wait=1500ms"], &[answer(0, 1)]);
    assert_eq!(asked, [r#"POST /v1/queue/flush {"wait_ms":1500}"#]);
    let replies = [answer(2, 0), status("offline", &[])];
    check_verbatim("queue flush in vain", &["queue", "flush", "--wait"], &replies);
    let replies = [answer(2, 0), status("auth_required", &[])];
    check_verbatim("queue flush refused", &["queue", "flush", "--wait"], &replies);
}

#[test]
fn a_scan_tells_what_it_found() {
    let answer =
        |done: bool| ok(format!(r#"{{"found":30,"added":1,"changed":2,"missing":0,"done":{done}}}"#));
    let asked = check_verbatim("scan", &["scan"], &[answer(false)]);
    assert_eq!(asked, [r#"POST /v1/discovery/scan {"paths":[],"wait_ms":null}"#]);
    let asked = check_verbatim("scan waited", &["scan", "/", "/no such", "--wait=2s"], &[answer(true)]);
    assert_eq!(asked, [r#"POST /v1/discovery/scan {"paths":["/","/no such"],"wait_ms":2000}"#]);
    check_verbatim("scan goes on", &["scan", "--wait"], &[answer(false)]);
}

#[test]
fn an_import_tells_what_was_taken_and_what_was_in_the_way() {
    let answer = |aside: u8, left: u8, problems: &str| {
        ok(format!(
            r#"{{"registrations":6,"queued":3,"mappings":1,"set_aside":{aside},"left":{left},"problems":[{problems}]}}"#
        ))
    };
    let asked = check_verbatim("import", &["import"], &[answer(0, 0, "")]);
    assert_eq!(asked, [r#"POST /v1/import {"from":null}"#]);
    let trouble = r#""`/old/sync_queue.db`: another program holds it""#;
    let asked = check_verbatim("import trouble", &["import", "--from", "/old"], &[answer(1, 2, trouble)]);
    assert_eq!(asked, [r#"POST /v1/import {"from":"/old"}"#]);
}

#[test]
fn the_daemon_is_told_a_word() {
    let asked = check_verbatim("resume", &["resume"], &[ok(r#"{"paused":true}"#)]);
    assert_eq!(asked, ["POST /v1/resume"]);
    let asked = check_verbatim("reload", &["reload"], &[ok(r#"{"warnings":["`x` has changed"]}"#)]);
    assert_eq!(asked, ["POST /v1/reload"]);
    let refused = r#"{"type":"about:blank","title":"t","status":409,"code":"conflict","detail":"the configuration was not changed: why","hint":"mend it"}"#;
    let refused =
        Reply { status: "409 Conflict\r\ncontent-type: application/problem+json", body: refused.to_owned() };
    check("reload refused", &["reload"], &[refused]);
    let asked = check_verbatim("pause", &["pause"], &[ok(r#"{"paused":true}"#)]);
    assert_eq!(asked, ["POST /v1/pause {}"]);
    let words = ["pause", "--for", "2h", "--reason", "on the train"];
    let asked = check_verbatim("pause for a while", &words, &[ok(r#"{"paused":true}"#)]);
    assert_eq!(asked, [r#"POST /v1/pause {"for_ms":7200000,"reason":"on the train"}"#]);
}

#[test]
fn a_configuration_that_the_daemon_would_refuse_is_refused_without_it() {
    let home = Home::new();
    std::fs::create_dir_all(home.path().join(".coditect/config")).expect("the folder");
    let file = home.path().join(".coditect/config/config.json");
    std::fs::write(file, r#"{"cloud_sync": {"batch_size": 0}}"#).expect("written");
    let run = home.run(&["reload"]);
    assert_eq!(run.exit, 78, "{}", run.stderr);
    assert!(run.stderr.contains("cloud_sync.batch_size"), "{}", run.stderr);
}

#[test]
fn something_is_waited_for_until_it_is_so_or_the_time_is_over() {
    let answer =
        |goal: &str, why: &str| ok(format!(r#"{{"for":"{goal}","reached":{},"why":{why}}}"#, why == "null"));
    check_verbatim("wait until ready", &["wait", "--for", "ready"], &[answer("ready", "null")]);
    let words = ["wait", "--for", "registered", "/nowhere", "--within", "0s"];
    let asked = check_verbatim("wait in vain", &words, &[answer("registered", r#""it waits to be sent""#)]);
    assert_eq!(asked, ["GET /v1/wait?for=registered&wait_ms=0&path=/nowhere"]);
    let refused = problem("409 No", "conflict", r#","hint":"see `coditect-sync queue show 7`""#);
    check("wait for what is refused", &["wait", "--for", "registered", "/nowhere"], &[refused]);
    let paused = status(
        "online",
        &[(
            r#""paused":false"#,
            r#""paused":true,"pause":{"by":"user","since":"STARTED","until":null,"reason":"on the train"}"#,
        )],
    );
    check_verbatim("status paused", &["status"], &[paused]);
}

#[test]
fn the_daemon_that_is_told_to_stop_is_told_once() {
    let asked = check("stop", &["stop"], &[Reply { status: "202 Accepted", body: String::new() }]);
    assert_eq!(asked, ["POST /v1/shutdown"]);
}

#[test]
fn a_list_of_events_that_is_cut_off_is_a_failure_and_says_where_to_go_on() {
    use std::io::{Read, Write};
    let home = Home::new();
    let listener = std::os::unix::net::UnixListener::bind(home.socket()).expect("bound");
    let daemon = std::thread::spawn(move || {
        let event = r#"{"id":7,"at":"2026-03-01T12:00:00Z","kind":"project.added","local_project_uuid":null,"message":"`/a`"}"#;
        let told = format!("id: 7\nevent: project.added\ndata: {event}\n\n");
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked";
        // Who comes back all the same is refused, so that it does not come back for ever.
        for answer in [
            format!("{head}\r\n\r\n{:x}\r\n{told}\r\n", told.len()),
            "HTTP/1.1 400 No\r\ncontent-length: 0\r\n\r\n".to_owned(),
        ] {
            let (mut stream, _) = listener.accept().expect("a connection");
            let mut asked = [0; 4096];
            // One that only looks whether it can be let go asks for nothing.
            if stream.read(&mut asked).is_ok_and(|length| length > 0) {
                stream.write_all(answer.as_bytes()).expect("written");
            }
        }
    });
    let run = home.run(&["events", "--since", "3", "--no-follow"]);
    drop(std::os::unix::net::UnixStream::connect(home.socket()));
    daemon.join().expect("the daemon's end");
    insta::assert_snapshot!("events-cut-off", run);
}

#[test]
fn every_problem_has_its_exit_code() {
    for (status, code, exit) in [
        ("400 No", "bad_request", 2),
        ("404 No", "not_found", 3),
        ("404 No", "not_registered", 3),
        ("405 No", "method_not_allowed", 1),
        ("409 No", "conflict", 1),
        ("413 No", "payload_too_large", 1),
        ("415 No", "unsupported_media_type", 1),
        ("502 No", "auth_required", 77),
        ("503 No", "cloud_unreachable", 1),
        ("503 No", "starting", 69),
        ("503 No", "shutting_down", 69),
        ("507 No", "queue_full", 1),
        ("507 No", "disk_full", 1),
        ("500 No", "internal", 1),
    ] {
        let home = Home::new();
        let reply = problem(status, code, r#","hint":"what to do""#);
        let daemon = home.daemon(vec![reply.clone(), reply]);
        let run = home.run(&["queue"]);
        assert_eq!((run.exit, run.stdout.as_str()), (exit, ""), "{code}");
        assert_eq!(run.stderr, "error: what is wrong\nhint: what to do\n");
        let run = home.run(&["queue", "--json"]);
        daemon.join().expect("asked twice");
        let document: serde_json::Value = serde_json::from_str(&run.stdout).expect("a document");
        assert_eq!((run.exit, run.stderr.as_str(), &document["code"]), (exit, "", &code.into()), "{code}");
    }
}

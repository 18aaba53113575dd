//! Two tenants on one machine see nothing of each other.

use coditect_devcloud::{Fault, Rule, dev_token};
use serde_json::Value;
use sync_tests::{Daemon, until};

use crate::{cloud_is, world};

fn of(projects: &[Value], tenant: &str) -> usize {
    projects.iter().filter(|project| project["tenant_id"] == tenant).count()
}

#[test]
fn what_waits_for_one_tenant_is_not_sent_with_the_others_token() {
    let (mut home, cloud) = world();
    let secret = home.path().join("secret");
    std::fs::create_dir(&secret).unwrap();
    let secret = secret.display().to_string();
    let sent = home.path().join("sent");
    std::fs::create_dir(&sent).unwrap();
    let sent = sent.display().to_string();
    let daemon = Daemon::start(&home).expecting("the cloud cannot be used");
    assert_eq!(home.run(&["register", "--wait=20s", &sent]).code, 0);
    cloud.faults().add(Rule::new(Fault::status(503))).unwrap();
    assert_eq!(home.run(&["register", &secret]).code, 0);
    cloud_is(&home, "offline");

    home.set_cloud("auth_token", dev_token("other", None));
    assert_eq!(home.run(&["reload"]).code, 0);
    until("the other tenant's turn has come", || {
        (home.json(&["status"])["tenant_id"] == "other").then_some(())
    });
    cloud.faults().clear();
    home.project("shared");
    until("discovery tells the other tenant too", || (of(&cloud.projects(), "other") == 1).then_some(()));
    assert_ne!(home.run(&["resolve", &sent]).code, 0, "the first tenant's answer is not given to the other");
    assert_eq!(of(&cloud.projects(), "acme"), 1);

    home.set_cloud("auth_token", dev_token("acme", None));
    daemon.signal("HUP");
    until("what waited for the first tenant arrives there", || {
        let projects = cloud.projects();
        let arrived =
            |project: &&Value| project["tenant_id"] == "acme" && project["root_path"] == secret.as_str();
        projects.iter().find(arrived).map(|_| ())
    });
    let leaked = |entry: &Value| entry["tenant"] == "other" && entry["root_path"] == secret.as_str();
    assert!(!cloud.ledger().iter().any(leaked));
    assert_eq!(home.run(&["resolve", &sent]).code, 0);
    daemon.finish();
}

#[test]
fn what_is_registered_before_a_token_is_set_goes_to_the_first_tenant_that_is_known() {
    let (mut home, cloud) = world();
    home.set_cloud("auth_token", Value::Null);
    let root = home.project("early");
    let daemon = Daemon::start(&home).expecting("no token is set").expecting("the cloud cannot be used");
    cloud_is(&home, "auth_required");
    until("it waits", || (crate::queue(&home, "ready") == 1).then_some(()));

    let token = dev_token("acme", None);
    let mut command = home.command(std::path::PathBuf::from("/bin/sh"));
    std::fs::write(home.path().join("given"), token).unwrap();
    let set = command
        .arg("-c")
        .arg("exec \"$0\" auth set-token < given")
        .arg(sync_tests::program("coditect-sync"))
        .status()
        .unwrap();
    assert!(set.success());
    until("it is delivered", || (of(&cloud.projects(), "acme") == 1).then_some(()));
    assert_eq!(home.run(&["resolve", &root.display().to_string()]).code, 0);
    daemon.finish();
}

#[test]
fn a_token_that_names_another_tenant_than_the_one_before_is_told_where_the_configuration_names_one() {
    let (mut home, cloud) = world();
    home.set_cloud("tenant_id", "acme");
    let root = home.project("early");
    let daemon = Daemon::start(&home).expecting("the token is of another tenant");
    until("it is registered", || (of(&cloud.projects(), "acme") == 1).then_some(()));
    home.set_cloud("auth_token", dev_token("other", None));
    assert_eq!(home.run(&["reload"]).code, 0);
    let told = || {
        daemon.log().lines().find(|line| line.contains("the token is of another tenant")).map(str::to_owned)
    };
    let line = until("it is told", told);
    assert!(line.contains("token=\"other\"") && line.contains("before=\"acme\""), "{line}");
    assert_eq!(home.json(&["status"])["tenant_id"], "acme", "the configuration is believed");
    assert_eq!(home.run(&["resolve", &root.display().to_string()]).code, 0);
    daemon.finish();
}

//! Two daemons of one tenant: what one registered, the other is told of when it asks.

use std::time::Duration;

use coditect_devcloud::dev_token;
use sync_tests::{Daemon, Home};
use sync_wire::{Client, ClientError, ProblemCode, RegistrationAnswer};
use uuid::Uuid;

use crate::{cloud_is, world};

const PATIENCE_MS: Option<u64> = Some(20_000);

fn asked(home: &Home, cloud_uuid: Uuid) -> Result<RegistrationAnswer, ClientError> {
    Client::new(home.state().join("sync.sock"), Duration::from_secs(10)).registration(cloud_uuid, PATIENCE_MS)
}

fn refused(home: &Home, cloud_uuid: Uuid) -> (u16, ProblemCode, String) {
    let answer = asked(home, cloud_uuid);
    let Err(ClientError::Problem(problem)) = answer else { unreachable!("{answer:?}") };
    (problem.status, problem.code, problem.detail)
}

#[test]
fn what_another_machine_registered_is_told_to_who_asks_for_its_uuid() {
    let (mut home, cloud) = world();
    let mut theirs = Home::new();
    theirs.set_cloud("api_url", cloud.url());
    theirs.set_cloud("auth_token", dev_token("acme", None));
    let mut strangers = Home::new();
    strangers.set_cloud("api_url", cloud.url());
    strangers.set_cloud("auth_token", dev_token("other", None));
    // What stands in the way is not to be over before it is looked at.
    home.set_cloud("retry_initial", "5m");
    home.set_cloud("retry_max", "5m");
    let daemon = Daemon::start(&home).expecting("the cloud cannot be used");
    let other = Daemon::start(&theirs);
    let stranger = Daemon::start(&strangers);

    let root = theirs.path().join("api");
    std::fs::create_dir(&root).unwrap();
    let root = root.display().to_string();
    assert_eq!(theirs.run(&["register", "--wait=20s", &root]).code, 0);
    let known = theirs.json(&["projects", "show", &root]);
    let uuid = |name: &str| -> Uuid { known[name].as_str().unwrap().parse().unwrap() };
    let (cloud_uuid, local_uuid) = (uuid("cloud_uuid"), uuid("local_project_uuid"));

    let told = asked(&home, cloud_uuid).unwrap();
    assert_eq!((told.cloud_uuid, told.local_project_uuid), (cloud_uuid, Some(local_uuid)));
    assert_eq!((told.on_this_machine, told.registration_status.as_str()), (false, "registered"));
    assert!(told.registered_at.is_some() && told.tenant_id.as_deref() == Some("acme"), "{told:?}");
    assert_eq!(told.told["local_project_uuid"], local_uuid.to_string());
    assert_eq!(
        home.json(&["projects"])["projects"].as_array().map(Vec::len),
        Some(0),
        "nothing of it is kept"
    );
    assert!(asked(&theirs, cloud_uuid).unwrap().on_this_machine);

    // A question goes out with the credential of the daemon that is asked: another tenant's project is not told.
    for (of, uuid) in [(&strangers, cloud_uuid), (&home, Uuid::from_u128(1))] {
        let (status, code, detail) = refused(of, uuid);
        assert_eq!((status, code), (404, ProblemCode::NotFound), "{detail}");
    }

    let stopped = cloud.stop();
    let (status, code, detail) = refused(&home, cloud_uuid);
    assert_eq!((status, code), (503, ProblemCode::CloudUnreachable), "{detail}");
    cloud_is(&home, "offline");
    let again = refused(&home, cloud_uuid);
    assert!(again.2.contains("it is down"), "{again:?}");
    let _cloud = stopped.start();
    assert_eq!(home.run(&["queue", "flush", "--wait=20s"]).code, 0);
    assert_eq!(asked(&home, cloud_uuid).unwrap().cloud_uuid, cloud_uuid);
    for daemon in [daemon, other, stranger] {
        daemon.finish();
    }
}

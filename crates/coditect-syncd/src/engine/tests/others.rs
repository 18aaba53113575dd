//! Registrations that are asked for by their UUIDs in the cloud, on whichever machine they are.

use std::sync::Arc;

use sync_cloud::{Cloud, Outgoing, Source, obtain};
use sync_core::{Answer, CloudId, LocalId, ProjectKind, Registration, Revision};
use sync_wire::ProblemCode;

use super::super::api::{Refusal, ToldByCloud};
use super::*;

const OTHERS: LocalId = LocalId(Uuid::from_u128(0xb0));
const NOBODYS: CloudId = CloudId(Uuid::from_u128(0xdead));

impl World {
    /// Has another machine of a tenant register a project; its UUID in the cloud.
    async fn register_elsewhere(&self, tenant: &str) -> CloudId {
        let machine = MachineId(Uuid::from_u128(2));
        let registration = Registration {
            local: OTHERS,
            machine,
            name: "theirs".to_owned(),
            root: PathBuf::from("/home/other/theirs"),
            language: "Rust".to_owned(),
            framework: String::new(),
            content_hash: String::new(),
            kind: ProjectKind::Standalone,
            parent: None,
        };
        let cloud = Cloud::new(self.engine.settings().cloud(machine)).unwrap();
        let token = obtain(&Source::Inline(dev_token(tenant, None))).await.unwrap().unwrap().token;
        let outgoing = Outgoing { registration, key: Uuid::from_u128(3), revision: Revision(1) };
        let reply = cloud.register(Some(&token), &outgoing).await;
        let Answer::Registered(project) = reply.answer else { panic!("{reply:?}") };
        project.cloud
    }

    async fn told(&self, project: CloudId) -> Result<Arc<ToldByCloud>, Refusal> {
        self.engine.registration(project, PATIENCE).await
    }

    async fn refused(&self, project: CloudId) -> (ProblemCode, String) {
        let refused = self.told(project).await.unwrap_err();
        (refused.code, refused.message)
    }

    /// How often this daemon asked where a registration stands.
    async fn questions(&self) -> usize {
        let requests = self.cloud.requests(0).await.unwrap();
        requests.iter().filter(|request| request.path.contains("registration-status")).count()
    }
}

#[tokio::test(flavor = "current_thread")]
async fn what_the_cloud_knows_of_another_machines_project_is_passed_on_and_not_kept() {
    let world = World::new().await;
    let theirs = world.register_elsewhere("acme").await;
    let told = world.told(theirs).await.unwrap();
    assert_eq!((told.project.cloud, told.local, told.here), (theirs, Some(OTHERS), false));
    assert_eq!(told.project.status, "registered");
    assert_eq!(told.fields["local_project_uuid"], OTHERS.to_string());
    let scope = world.engine.scope().id;
    assert_eq!(world.engine.0.store.mapping().get(scope, OTHERS).await.unwrap(), None);
    let is_online = async || world.engine.status().await.unwrap().cloud == CloudState::Online;
    world.until("it is known that the cloud is there", is_online).await;
}

#[tokio::test(flavor = "current_thread")]
async fn a_registration_of_this_machine_is_told_as_such_and_its_mapping_is_renewed() {
    let world = World::new().await;
    let outcome = world.register(world.project("api"), PATIENCE).await;
    let RegisterOutcome::Registered(mapping) = outcome else { panic!("{outcome:?}") };
    world.pass(Duration::from_mins(5));
    let told = world.told(mapping.cloud).await.unwrap();
    assert_eq!((told.local, told.here), (Some(mapping.local), true));
    let scope = world.engine.scope().id;
    let renewed = world.engine.0.store.mapping().get(scope, mapping.local).await.unwrap().unwrap();
    assert_eq!(renewed.cached_at, mapping.cached_at.after(Duration::from_mins(5)));

    // One that the cloud forgot is registered again.
    world.cloud.forget().await.unwrap();
    assert_eq!(world.refused(mapping.cloud).await.0, ProblemCode::NotFound);
    let is_back = async || world.cloud.projects().await.unwrap().len() == 1;
    world.until("it is registered again", is_back).await;
}

#[tokio::test(flavor = "current_thread")]
async fn all_who_ask_for_one_registration_share_a_question_and_a_no_is_remembered_for_a_minute() {
    let world = World::new().await;
    let theirs = world.register_elsewhere("acme").await;
    let (first, second, third, nobodys) =
        tokio::join!(world.told(theirs), world.told(theirs), world.told(theirs), world.refused(NOBODYS));
    for told in [first, second, third] {
        assert_eq!(told.unwrap().project.cloud, theirs);
    }
    assert_eq!(nobodys.0, ProblemCode::NotFound);
    assert_eq!(world.questions().await, 2);
    for _ in 0..10 {
        assert_eq!(world.refused(NOBODYS).await.0, ProblemCode::NotFound);
    }
    assert_eq!(world.questions().await, 2);
    world.pass(Duration::from_secs(61));
    assert_eq!(world.refused(NOBODYS).await.0, ProblemCode::NotFound);
    assert_eq!(world.questions().await, 3);
}

#[tokio::test(flavor = "current_thread")]
async fn another_tenants_registration_is_told_with_that_tenants_credential_alone() {
    let world = World::new().await;
    let theirs = world.register_elsewhere("other").await;
    assert_eq!(world.refused(theirs).await.0, ProblemCode::NotFound);
    // With another tenant a no of the one before says nothing.
    let mut settings = Settings::clone(&world.engine.settings());
    settings.dev = Some(DevSettings { url: world.cloud.url(), token: dev_token("other", None) });
    world.engine.follow(settings);
    let is_followed =
        async || world.engine.scope().scope.tenant.name().is_some_and(|name| name.to_string() == "other");
    world.until("the tenant is the other one", is_followed).await;
    let told = world.told(theirs).await.unwrap();
    assert_eq!((told.project.cloud, told.tenant.as_ref().unwrap().to_string()), (theirs, "other".to_owned()));
}

#[tokio::test(flavor = "current_thread")]
async fn a_cloud_that_is_not_to_be_asked_is_not_asked() {
    let world = World::new().await;
    let theirs = world.register_elsewhere("acme").await;
    world.cloud.faults().add(Rule::new(Fault::retry_after(503, "600"))).unwrap();
    let (code, message) = world.refused(theirs).await;
    assert_eq!(code, ProblemCode::CloudUnreachable);
    assert!(message.contains("503"), "{message}");
    world.cloud.faults().clear();
    let asked = world.questions().await;
    for _ in 0..10 {
        let (code, message) = world.refused(theirs).await;
        assert_eq!(code, ProblemCode::CloudUnreachable);
        assert!(message.contains("it is down"), "{message}");
    }
    assert_eq!(world.questions().await, asked);
    // As soon as it may be asked, it is: that it could not be before is not held against the question.
    world.pass(Duration::from_mins(16));
    assert_eq!(world.told(theirs).await.unwrap().project.cloud, theirs);
}

#[tokio::test(flavor = "current_thread")]
async fn a_question_that_is_refused_holds_up_no_registration_and_is_not_repeated_at_once() {
    let world = World::new().await;
    for status in [403, 500] {
        let theirs = CloudId(Uuid::from_u128(status.into()));
        world.cloud.faults().add(Rule::new(Fault::status(status)).on_path("registration-status")).unwrap();
        let before = world.questions().await;
        assert!(world.refused(theirs).await.1.contains(&status.to_string()));
        for _ in 0..10 {
            let (code, message) = world.refused(theirs).await;
            assert_eq!(code, ProblemCode::CloudUnreachable);
            assert!(message.contains("a moment ago"), "{message}");
        }
        assert_eq!(world.questions().await, before + 1, "{status}");
        let outcome = world.register(world.project(&format!("p{status}")), PATIENCE).await;
        assert!(matches!(outcome, RegisterOutcome::Registered(_)), "{status}: {outcome:?}");
        world.cloud.faults().clear();
    }
}

#[tokio::test(flavor = "current_thread")]
async fn questions_without_end_are_turned_away_and_no_more_than_four_are_in_the_air() {
    let world = World::new().await;
    world.cloud.faults().add(Rule::new(Fault::Hang).on_path("registration-status")).unwrap();
    let ask =
        |number| world.engine.registration(CloudId(Uuid::from_u128(number)), Duration::from_millis(500));
    let answers = futures_util::future::join_all((0..100).map(ask)).await;
    let messages: Vec<String> = answers.into_iter().map(|answer| answer.unwrap_err().message).collect();
    let of = |words: &str| messages.iter().filter(|message| message.contains(words)).count();
    assert_eq!((of("too many"), of("within the time allowed")), (36, 64), "{messages:#?}");
    assert_eq!(world.questions().await, 4);
    // Nobody waits any more, so there is room.
    world.cloud.faults().clear();
    assert!(!world.refused(NOBODYS).await.1.contains("too many"));
}

#[tokio::test(flavor = "current_thread")]
async fn a_program_that_asks_and_asks_has_the_cloud_asked_once_a_second() {
    let world = World::new().await;
    let ask = async |number| {
        world.engine.resolve(Which::Local(LocalId(Uuid::from_u128(number))), false, PATIENCE).await
    };
    for number in 1..=320 {
        let refused = ask(number).await.unwrap_err();
        let code = if number <= 300 { ProblemCode::NotRegistered } else { ProblemCode::CloudUnreachable };
        assert_eq!(refused.code, code, "{number}: {}", refused.message);
    }
    let requests = world.cloud.requests(0).await.unwrap();
    assert_eq!(requests.iter().filter(|request| request.path.contains("by-local-uuid")).count(), 300);
    world.pass(Duration::from_secs(1));
    assert_eq!(ask(1_000).await.unwrap_err().code, ProblemCode::NotRegistered);
    // What is registered does not wait for it, and is known without a question.
    let outcome = world.register(world.project("api"), PATIENCE).await;
    assert!(matches!(outcome, RegisterOutcome::Registered(_)), "{outcome:?}");
}

#[tokio::test(flavor = "current_thread")]
async fn a_question_waits_no_longer_than_it_was_told_to() {
    let world = World::new().await;
    world.cloud.faults().add(Rule::new(Fault::Hang)).unwrap();
    let began = tokio::time::Instant::now();
    let refused = world.engine.registration(NOBODYS, Duration::from_millis(50)).await.unwrap_err();
    assert_eq!(refused.code, ProblemCode::CloudUnreachable);
    assert!(refused.hint.is_some() && began.elapsed() < PATIENCE / 2);
}

#[tokio::test(flavor = "current_thread")]
async fn without_a_credential_that_the_cloud_takes_a_question_says_so() {
    let world = World::new().await;
    let outcome = world.register(world.project("api"), PATIENCE).await;
    let RegisterOutcome::Registered(mapping) = outcome else { panic!("{outcome:?}") };
    world.cloud.faults().add(Rule::new(Fault::status(401))).unwrap();
    assert_eq!(world.refused(mapping.cloud).await.0, ProblemCode::AuthRequired, "already the first time");
    let asked = world.questions().await;
    assert_eq!(asked, 1, "a credential that was refused is not sent again");
    let refused = world.engine.resolve(Which::Local(mapping.local), true, PATIENCE).await.unwrap_err();
    assert_eq!((refused.code, refused.hint.is_some()), (ProblemCode::AuthRequired, true));
    assert_eq!(world.questions().await, asked);
}

#[tokio::test(flavor = "current_thread")]
async fn what_somebody_asks_is_asked_while_sending_is_paused() {
    let world = World::new().await;
    let theirs = world.register_elsewhere("acme").await;
    world.engine.pause(None, None).await.unwrap();
    assert_eq!(world.told(theirs).await.unwrap().project.cloud, theirs);
}

#[tokio::test(flavor = "current_thread")]
async fn a_look_up_that_the_way_failed_again_and_again_is_made_as_soon_as_the_way_is_open() {
    let world = World::new().await;
    let refused = async || {
        let refusal = world.engine.resolve(Which::Local(OTHERS), true, PATIENCE).await.unwrap_err();
        (refusal.code, refusal.message)
    };
    world.cloud.faults().add(Rule::new(Fault::retry_after(503, "600"))).unwrap();
    for _ in 0..8 {
        let (code, message) = refused().await;
        assert!(code == ProblemCode::CloudUnreachable && message.contains("503"), "{message}");
        world.pass(Duration::from_mins(16));
    }
    world.cloud.faults().clear();
    assert_eq!(refused().await.0, ProblemCode::NotRegistered);
}

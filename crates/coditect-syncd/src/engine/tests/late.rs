//! What lands when another tenant's or another token's turn has begun, and what the cloud fails to say of many.

use sync_core::{LocalId, Mapping, ScopeId};

use super::*;

impl World {
    /// From now on with this token.
    fn follow(&self, token: String) {
        let mut settings = Settings::clone(&self.engine.settings());
        settings.dev = Some(DevSettings { url: self.cloud.url(), token });
        self.engine.follow(settings);
    }

    /// From now on the turn of this tenant.
    async fn turn_to(&self, tenant: &str) -> ScopeId {
        self.follow(dev_token(tenant, None));
        let is_its_turn = async || self.tenant().as_deref() == Some(tenant);
        self.until("the tenant is followed", is_its_turn).await;
        self.engine.scope().id
    }

    fn tenant(&self) -> Option<String> {
        let scope = self.engine.scope();
        scope.scope.tenant.name().filter(|_| scope.settled).map(ToString::to_string)
    }

    async fn mapping(&self, scope: ScopeId, local: LocalId) -> Option<Mapping> {
        self.engine.0.store.mapping().get(scope, local).await.unwrap()
    }

    async fn flies(&self) {
        self.until("it is in the air", async || self.engine.queue().await.unwrap().in_flight > 0).await;
    }

    async fn asked(&self, path: &str) -> usize {
        let requests = self.cloud.requests(0).await.unwrap();
        requests.iter().filter(|request| request.path.contains(path)).count()
    }
}

#[tokio::test(flavor = "current_thread")]
async fn what_lands_after_the_tenant_changed_is_the_tenants_to_whom_it_was_sent() {
    let world = World::new().await;
    let acme = world.engine.scope().id;
    let root = world.project("api");
    let local = sync_core::local_id(world.engine.0.machine, &root);
    world.cloud.faults().add(Rule::new(Fault::Hang)).unwrap();
    world.register(root, Duration::ZERO).await;
    world.flies().await;
    let other = world.turn_to("other").await;
    world.cloud.faults().clear();
    let is_told = async || world.mapping(acme, local).await.is_some();
    world.until("what came of it is written down", is_told).await;
    let theirs = async || world.mapping(other, local).await.is_some();
    world.until("the other tenant has it too", theirs).await;
    let of = |tenant: &str, projects: &[coditect_devcloud::Project]| {
        projects.iter().find(|project| project.tenant_id == tenant).map(|project| project.cloud_uuid.clone())
    };
    let projects = world.cloud.projects().await.unwrap();
    for (scope, tenant) in [(acme, "acme"), (other, "other")] {
        let known = world.mapping(scope, local).await.unwrap();
        assert_eq!(Some(known.cloud.to_string()), of(tenant, &projects), "{tenant}");
    }
}

#[tokio::test(flavor = "current_thread")]
async fn newer_content_waits_also_for_what_got_no_answer_while_another_tenants_turn_was() {
    let world = World::new().await;
    let root = world.elsewhere("api");
    let write = async |content: &str| {
        let content_hash = Some(content.to_owned());
        let draft = Draft { root: root.clone(), content_hash, ..Draft::default() };
        world.engine.register(vec![draft], false, Duration::ZERO).await.unwrap();
    };
    let late = [Rule::new(Fault::Latency { ms: 1_500 }), Rule::new(Fault::status(502))];
    world.cloud.faults().replace(late.map(|rule| rule.times(1)).to_vec()).unwrap();
    write("older").await;
    world.flies().await;
    let landings = world.engine.0.delivery.borrow().landings;
    world.turn_to("other").await;
    let has_landed = async || world.engine.0.delivery.borrow().landings > landings;
    world.until("it has landed without an answer", has_landed).await;
    let acme = world.turn_to("acme").await;
    write("newer").await;
    let waits = async || {
        let heads = world.engine.0.store.outbox().heads(acme, Timestamp::NEVER, 10, &[]).await.unwrap();
        let code = |entry: &sync_core::Entry| entry.last_failure.clone().map(|failure| failure.code);
        heads.iter().any(|entry| code(entry).as_deref() == Some("unanswered"))
    };
    world.until("the newer content waits", waits).await;
}

#[tokio::test(flavor = "current_thread")]
async fn a_look_up_that_was_refused_with_an_earlier_token_says_nothing_of_the_one_in_force() {
    let world = World::new().await;
    let root = world.project("api");
    world.register(root.clone(), PATIENCE).await;
    let late = [Fault::Latency { ms: 1_500 }, Fault::status(401)];
    let late = late.map(|fault| Rule::new(fault).on_path("by-local-uuid").times(1));
    world.cloud.faults().replace(late.to_vec()).unwrap();
    let asks = world.engine.resolve(Which::Path(root), true, PATIENCE);
    let changes = async {
        world.until("it is asked", async || world.asked("by-local-uuid").await > 0).await;
        world.follow(dev_token("acme", Some(START.0 / 1_000 + 1_000_000_000)));
        world.until("the token is another", async || world.engine.is_ready().is_ok()).await;
        // Something that goes with the new token shows that it is in force.
        let outcome = world.register(world.project("other"), PATIENCE).await;
        assert!(matches!(outcome, RegisterOutcome::Registered(_)), "{outcome:?}");
    };
    let (resolved, ()) = tokio::join!(asks, changes);
    assert!(resolved.unwrap().from_cloud, "it was asked again with the token in force");
    assert_ne!(world.engine.status().await.unwrap().cloud, CloudState::AuthRequired);
}

#[tokio::test(flavor = "current_thread")]
async fn a_cloud_that_fails_to_say_of_any_project_is_not_asked_about_all_of_them() {
    let world = World::new().await;
    let drafts = (0..40).map(|number| world.project(&format!("p{number}")));
    let drafts = drafts.map(|root| Draft { root, ..Draft::default() }).collect();
    world.engine.register(drafts, false, PATIENCE).await.unwrap();
    world.cloud.faults().add(Rule::new(Fault::status(500)).on_path("by-local-uuid")).unwrap();
    // All of them have expired.
    world.pass(Duration::from_hours(25));
    let failures = async || {
        world.engine.0.deliver_wake.wake();
        world.asked("by-local-uuid").await >= 3
    };
    world.until("the cloud has failed to say", failures).await;
    for _ in 0..50 {
        world.engine.0.deliver_wake.wake();
        world.engine.flush(Duration::from_millis(5)).await.unwrap();
    }
    let asked = world.asked("by-local-uuid").await;
    assert!(asked <= 7, "{asked} questions");
    world.cloud.faults().clear();
    let are_asked = async || {
        world.pass(Duration::from_secs(10));
        world.engine.0.deliver_wake.wake();
        world.engine.status().await.unwrap().cache.1 == 40
    };
    world.until("all are known again", are_asked).await;
}

//! The loop with databases the old client left behind, a real store and a dev cloud in this process.

use std::path::Path;
use std::time::Duration;

use coditect_devcloud::{DevCloud, Options, dev_token};
use sync_config::{Environment, PlaceFlags, Secret};
use sync_core::{CloudId, LocalId, MachineId, Timestamp};
use sync_store::{Limits, Store};
use sync_wire::ProblemCode;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::super::api::Which;
use super::super::settings::DevSettings;
use super::super::{Engine, Parts, Settings, deliver, discover, legacy};
use super::{FOLDER, Imported};
use crate::clock::Clock;
use crate::dice::Dice;
use crate::stop::Stop;

const PATIENCE: Duration = Duration::from_mins(1);
/// Two hours after the old client wrote its last row.
const START: &str = "2026-01-05T12:00:00Z";

struct World {
    home: tempfile::TempDir,
    cloud: DevCloud,
    engine: Engine,
    _time: watch::Sender<Timestamp>,
    stop: Stop,
    tasks: Vec<JoinHandle<()>>,
}

impl World {
    /// An engine with its loops, set up as `edit` says.
    async fn new(edit: fn(&mut Settings)) -> Self {
        let home = tempfile::tempdir().unwrap();
        let cloud = DevCloud::start(Options::default()).await.unwrap();
        let environment = Environment { home: Some(home.path().to_owned()), ..Environment::default() };
        let flags = PlaceFlags { state_dir: Some(home.path().join("s")), ..PlaceFlags::default() };
        let places = environment.places(&flags).unwrap();
        std::fs::create_dir_all(&places.state_dir).unwrap();
        std::fs::create_dir_all(&places.data_dir).unwrap();
        let mut config = environment.load(&places.config_file, Vec::new()).unwrap().config;
        config.sync_daemon.discovery.roots = Vec::new();
        config.cloud_sync.api_url = cloud.url();
        config.cloud_sync.auth_token = Some(Secret::new(dev_token("acme", None)));
        let mut settings = Settings { config, places, dev: None, worker: None };
        edit(&mut settings);
        if let Some(dev) = &mut settings.dev {
            *dev = DevSettings { url: cloud.url(), token: dev_token("acme", None) };
        }
        let now = Timestamp::from_rfc3339(START).unwrap();
        let (time, _) = watch::channel(now);
        let limits = Limits { max_items: 1_000 };
        let opened = Store::open(&settings.places.database, limits, now, Uuid::from_u128(7)).await.unwrap();
        let stop = Stop::default();
        let engine = Engine::new(Parts {
            clock: Clock::Manual(time.clone()),
            dice: Dice::seeded(5),
            store: opened.store,
            machine: MachineId("00000000-0000-4000-8000-000000000007".parse().unwrap()),
            settings,
            stop: stop.clone(),
            unclean: false,
            sandbox: crate::sandbox::Sandbox::none("a test"),
            around: crate::surroundings::Around::here(),
            log: crate::logging::LogState::default(),
        })
        .await
        .unwrap();
        let loops = (engine.clone(), engine.clone(), engine.clone());
        #[expect(clippy::disallowed_methods, reason = "the test holds the handles and joins them")]
        let tasks = vec![
            tokio::spawn(async move { deliver(loops.0).await.unwrap() }),
            tokio::spawn(async move { discover(loops.1).await.unwrap() }),
            tokio::spawn(async move { legacy(loops.2).await.unwrap() }),
        ];
        Self { home, cloud, engine, _time: time, stop, tasks }
    }

    /// Puts what the old client left behind into the data folder.
    fn leave_behind(&self) {
        copy_old(&self.engine.settings().places.data_dir.join(FOLDER));
    }

    async fn until<F: Future<Output = bool>>(&self, what: &str, mut ask: impl FnMut() -> F) {
        let waiting = async {
            let mut progress = self.engine.progress();
            loop {
                progress.mark_unchanged();
                if ask().await {
                    return;
                }
                // Not every change is a commit, so it is looked again after a moment too.
                if let Ok(Err(gone)) =
                    tokio::time::timeout(Duration::from_millis(20), progress.changed()).await
                {
                    panic!("{gone}");
                }
            }
        };
        assert!(tokio::time::timeout(PATIENCE, waiting).await.is_ok(), "waited in vain until {what}");
    }

    /// What the cloud has, as `name language type parent`.
    async fn projects(&self) -> Vec<String> {
        let mut projects: Vec<String> = self
            .cloud
            .projects()
            .await
            .unwrap()
            .iter()
            .map(|project| {
                let parent = project.parent_project_uuid.is_some();
                format!(
                    "{} {} {} {parent}",
                    project.project_name, project.primary_language, project.project_type
                )
            })
            .collect();
        projects.sort();
        projects
    }

    async fn end(self) {
        self.stop.finish();
        for task in self.tasks {
            task.await.unwrap();
        }
        self.engine.0.store.clone().close().await.unwrap();
    }
}

fn copy_old(folder: &Path) {
    let old = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/old-client");
    std::fs::create_dir_all(folder).unwrap();
    for name in ["sync_queue.db", "sessions.db"] {
        std::fs::copy(old.join(name), folder.join(name)).unwrap();
    }
}

const EVERYTHING: [&str; 3] =
    ["alpha Rust monorepo false", "beta Rust submodule true", "gamma  standalone false"];

#[tokio::test(flavor = "current_thread")]
async fn what_the_old_client_left_behind_arrives_whole() {
    let world = World::new(|_| {}).await;
    world.until("the scope is known", async || world.engine.is_ready().is_ok()).await;
    world.leave_behind();
    world.until("all three are in the cloud", async || world.projects().await.len() == 3).await;
    assert_eq!(world.projects().await, EVERYTHING);
    // A fresh UUID of its tenant is believed, one without a tenant is not.
    let local = |number: u128| LocalId(Uuid::from_u128(0x4000_8000_0000_0000_0000 + number));
    world
        .until("the cache is taken", async || {
            world.engine.resolve(Which::Local(local(4)), false, Duration::ZERO).await.is_ok()
        })
        .await;
    let known = world.engine.resolve(Which::Local(local(4)), false, Duration::ZERO).await.unwrap();
    assert_eq!(
        (known.mapping.cloud, known.stale),
        (CloudId(Uuid::from_u128(0x4000_8000_0000_0000_0054)), false)
    );

    // They left their table and are remembered no longer; of the cache nothing is taken twice.
    let again = world.engine.import(None).await.unwrap();
    assert_eq!(again, Imported::default());
    let aside = world.engine.0.store.legacy().aside(10).await.unwrap();
    assert_eq!(aside.len(), 1);
    assert!(aside[0].reason.contains("deregister"), "{aside:?}");
    world.end().await;
}

#[tokio::test(flavor = "current_thread")]
async fn nothing_is_taken_unasked_where_it_is_switched_off_or_a_dev_cloud_stands_in() {
    let edits: [fn(&mut Settings); 2] = [
        |settings| settings.config.sync_daemon.legacy_import = false,
        |settings| settings.dev = Some(DevSettings { url: String::new(), token: String::new() }),
    ];
    for edit in edits {
        let world = World::new(edit).await;
        world.leave_behind();
        world.until("the scope is known", async || world.engine.is_ready().is_ok()).await;
        world.until("discovery has looked", async || world.engine.0.discovery.borrow().surveyed).await;
        assert!(world.engine.0.store.event().since(0, 10).await.unwrap().is_empty());
        let taken = world.engine.import(None).await.unwrap();
        assert_eq!((taken.rows, taken.wishes, taken.aside, taken.left), (6, 3, 1, 0), "{taken:?}");
        assert!(taken.problems.is_empty() && taken.mappings > 0, "{taken:?}");
        world.until("all three are in the cloud", async || world.projects().await.len() == 3).await;
        world.end().await;
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_folder_that_is_named_is_taken_from_and_one_without_databases_refused() {
    let world = World::new(|_| {}).await;
    world.until("the scope is known", async || world.engine.is_ready().is_ok()).await;
    let elsewhere = world.home.path().join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    let none = world.engine.import(Some(elsewhere.clone())).await.unwrap_err();
    assert!(none.code == ProblemCode::NotFound && none.hint.unwrap().starts_with("name the folder"));
    copy_old(&elsewhere.join(FOLDER));
    world.until("discovery has looked", async || world.engine.0.discovery.borrow().surveyed).await;
    let whereabouts = world.engine.0.index.whereabouts();
    let taken = world.engine.import(Some(elsewhere.clone())).await.unwrap();
    assert_eq!(taken.rows, 6);
    assert_ne!(world.engine.0.index.whereabouts(), whereabouts, "what was kept of paths is kept no longer");
    let again = world.engine.import(Some(elsewhere.join(FOLDER))).await.unwrap();
    assert_eq!(again, Imported::default());
    world.end().await;
}

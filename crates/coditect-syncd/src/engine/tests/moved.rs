//! Projects that moved, met by looks that see only one end of the move.

use std::collections::BTreeMap;
use std::path::Path;

use sync_core::{LocalId, Presence};

use super::*;

impl World {
    /// Looks at this place alone.
    async fn look_at(&self, place: &Path) {
        assert!(self.engine.scan(vec![place.to_owned()], PATIENCE).await.unwrap().done);
    }

    /// Who is where, of those that are there.
    async fn present(&self) -> BTreeMap<PathBuf, LocalId> {
        let all = self.engine.0.store.project().all().await.unwrap();
        let present = all.into_iter().filter(|project| project.presence == Presence::Present);
        present.map(|project| (project.root, project.local)).collect()
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_move_whose_end_is_seen_before_its_beginning_keeps_the_uuid() {
    let world = World::new().await;
    let root = world.project("api");
    assert!(world.engine.scan(Vec::new(), PATIENCE).await.unwrap().done);
    let before = world.present().await;
    let group = root.with_file_name("group");
    std::fs::create_dir(&group).unwrap();
    std::fs::rename(&root, group.join("renamed")).unwrap();
    world.look_at(&group).await;
    assert_eq!(world.present().await, BTreeMap::from([(group.join("renamed"), before[&root])]));
    world.look_at(&root).await;
    assert_eq!(world.present().await, BTreeMap::from([(group.join("renamed"), before[&root])]));
    assert_eq!(world.engine.0.store.project().all().await.unwrap().len(), 1, "nothing is on record twice");
}

#[tokio::test(flavor = "current_thread")]
async fn two_that_swap_places_keep_who_they_are_though_each_is_looked_at_by_itself() {
    let world = World::new().await;
    let (one, other) = (world.project("one"), world.project("other"));
    assert!(world.engine.scan(Vec::new(), PATIENCE).await.unwrap().done);
    let before = world.present().await;
    let aside = one.with_file_name("aside");
    for (from, to) in [(&one, &aside), (&other, &one), (&aside, &other)] {
        std::fs::rename(from, to).unwrap();
    }
    world.look_at(&one).await;
    world.look_at(&other).await;
    let swapped = BTreeMap::from([(one.clone(), before[&other]), (other.clone(), before[&one])]);
    assert_eq!(world.present().await, swapped);
}

//! What cannot be read, or is not to be.

use super::*;

#[test]
fn a_file_that_cannot_be_read_keeps_what_the_index_says() {
    let Some(scene) = Scene::repository(&["init", "--quiet"]) else { return };
    committed(&scene);
    let before = scene.compare();
    let file = scene.root.join("src.c");
    scene.write("src.c", "changed, and nobody may see it");
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o000)).unwrap();
    if std::fs::read(&file).is_ok() {
        eprintln!("skipped: this user may read everything");
        return;
    }
    let found = scene.ours();
    assert_eq!(found.id, before);
    assert!(found.warnings.iter().any(|warning| warning.starts_with("partial") && warning.contains("src.c")));
}

#[test]
fn what_is_mounted_from_elsewhere_is_as_the_index_has_it_and_not_looked_into() {
    let Some(scene) = Scene::repository(&["init", "--quiet"]) else { return };
    let other = scene.other_repository("other");
    committed(&scene);
    scene.write("data/deep/a.rs", "fn a() {}\n");
    scene.write(".gitignore", "ignored\n");
    scene.git(&["add", "-A"]);
    let allowed = ["-c", "protocol.file.allow=always", "submodule", "--quiet", "add"];
    scene.git(&[&allowed[..], &[other.to_str().unwrap(), "inner"]].concat());
    scene.git(&["commit", "--quiet", "-m", "data"]);
    let clean = scene.theirs();
    for mounted in ["data", "inner", "new", "ignored"] {
        std::fs::remove_dir_all(scene.root.join(mounted)).ok();
        scene.write(&format!("{mounted}/other.rs"), "fn other() {}\n");
    }
    scene.git(&["init", "--quiet", "new/project"]);
    let found = scene.ours_beside(&["data", "inner", "new", "ignored", "elsewhere/in"]);
    assert_eq!(found.id, clean);
    let warning = "partial: what is mounted from elsewhere or this program's own is as in the index or left out (3): data, inner, new";
    assert_eq!(found.warnings, [warning]);
    // Nor is what the index has read by those who count languages.
    assert!(found.entries.iter().all(|entry| !entry.path.starts_with(b"data/")));
    assert!(found.nested.is_empty() && found.submodules.is_empty());
    assert_ne!(scene.ours().id, clean);
}

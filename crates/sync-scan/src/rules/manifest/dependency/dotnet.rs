//! Dependencies of .NET projects, and the projects a solution names.

use super::{Ecosystem, Found};
use crate::rules::manifest::{Element, Manifests};

pub(super) fn project(found: &mut Found, manifests: &Manifests, file: &str) {
    let Some(project) = manifests.xml(file) else { return };
    if let Some(kit) = project.attribute("Sdk") {
        found.add(Ecosystem::Nuget, kit.split('/').next().unwrap_or(kit));
    }
    let includes = |told: &Element| matches!(told.name.as_str(), "PackageReference" | "FrameworkReference");
    let items = project.all("ItemGroup").flat_map(|group| &group.children);
    for name in items.filter(|told| includes(told)).filter_map(|told| told.attribute("Include")) {
        found.add(Ecosystem::Nuget, name);
    }
    for group in project.all("PropertyGroup") {
        if group.words("UseMaui").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            found.add(Ecosystem::Nuget, "UseMaui");
        }
    }
}

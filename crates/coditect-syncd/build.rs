//! Links the program with its functions in a given order, where one is given.

#[expect(clippy::disallowed_methods, reason = "cargo tells it so and in no other way")]
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=CODITECT_SYNC_ORDER");
    let order = std::env::var_os("CODITECT_SYNC_ORDER").filter(|order| !order.is_empty());
    if let Some(order) = order.map(std::path::PathBuf::from) {
        println!("cargo::rerun-if-changed={}", order.display());
        println!("cargo::rustc-link-arg-bins=-Wl,--symbol-ordering-file={}", order.display());
        println!("cargo::rustc-link-arg-bins=-Wl,--no-warn-symbol-ordering");
    }
}

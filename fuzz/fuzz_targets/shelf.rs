//! `shelf` of sync-fuzz under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| sync_fuzz::run("shelf", data));

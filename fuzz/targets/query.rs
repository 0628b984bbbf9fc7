//! libFuzzer runs the body `query`; see there what it checks.

#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| {
    heraldns_fuzz::query::run(octets);
});

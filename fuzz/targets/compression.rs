//! libFuzzer runs the body `compression`; see there what it checks.

#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| {
    heraldns_fuzz::compression::run(octets);
});

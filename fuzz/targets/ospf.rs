//! libFuzzer runs the body `ospf`; see there what it checks.

#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| {
    heraldns_fuzz::ospf::run(octets);
});

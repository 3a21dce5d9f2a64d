#![no_main]

#[path = "../../shutdown-probe-common/tests/oracle/any.rs"]
mod oracle;

libfuzzer_sys::fuzz_target!(|data: &[u8]| oracle::check(data));

#![no_main]

#[path = "../../shutdown-probe-common/tests/oracle/http2.rs"]
mod oracle;

libfuzzer_sys::fuzz_target!(|data: &[u8]| oracle::check(data));

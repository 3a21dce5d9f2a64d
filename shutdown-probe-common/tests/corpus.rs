//! What the fuzzers began with and what they found, run as plain tests.

mod oracle;

use std::path::Path;
use std::{fs, io};

fn each(target: &str, check: impl Fn(&[u8])) -> io::Result<()> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds").join(target);
    let mut files = 0;
    for entry in fs::read_dir(&directory)? {
        let path = entry?.path();
        println!("{}", path.display());
        check(&fs::read(&path)?);
        files += 1;
    }
    assert!(files > 0, "no seeds in {}", directory.display());
    Ok(())
}

#[test]
fn any() -> io::Result<()> {
    each("any", oracle::any::check)
}

#[test]
fn http1() -> io::Result<()> {
    each("http1", oracle::http1::check)
}

#[test]
fn http2() -> io::Result<()> {
    each("http2", oracle::http2::check)
}

//! What real clients and servers said to each other, cut at every position: see captures/README.md.

use shutdown_probe_common::framing::Direction::{Inbound, Outbound};
use shutdown_probe_common::framing::{Direction, Framed, Framing, feed};
use std::path::{Path, PathBuf};
use std::{fs, io};

enum Part {
    Said(Direction, Vec<u8>),
    /// What the server has in hand, and how many streams are open.
    Truth(u8, u8),
}

fn captures() -> io::Result<Vec<PathBuf>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/captures");
    let paths: Vec<_> = fs::read_dir(directory)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    Ok(paths.into_iter().filter(|path| path.extension().is_some_and(|end| end == "capture")).collect())
}

fn parts(path: &Path) -> io::Result<Vec<Part>> {
    let bytes = fs::read(path)?;
    let mut rest = bytes.as_slice();
    let mut parts = Vec::new();
    while let [kind, a, b, c, d, tail @ ..] = rest {
        let (body, tail) = tail.split_at(u32::from_le_bytes([*a, *b, *c, *d]) as usize);
        rest = tail;
        parts.push(match kind {
            0 => Part::Said(Inbound, body.to_vec()),
            1 => Part::Said(Outbound, body.to_vec()),
            _ => Part::Truth(body[0], body[1]),
        });
    }
    assert!(rest.is_empty(), "{} is cut", path.display());
    Ok(parts)
}

fn begun() -> Framing {
    let mut framing = Framing::default();
    framing.begin(1, 1, false);
    framing
}

#[test]
fn the_truth_is_told() -> io::Result<()> {
    let mut truths = 0;
    for path in captures()? {
        let mut framing = begun();
        for (place, part) in parts(&path)?.iter().enumerate() {
            match part {
                Part::Said(direction, bytes) => feed(&mut framing, *direction, bytes),
                Part::Truth(hand, streams) => {
                    let mut framed = Framed::default();
                    framing.frame(&mut framed);
                    let said = (framed.hand, framed.streams);
                    assert_eq!(
                        said,
                        (*hand, (*streams).into()),
                        "{} part {place}: {framed:?}",
                        path.display()
                    );
                    truths += 1;
                }
            }
        }
        assert!(framing.is_followed(), "{}", path.display());
    }
    assert!(truths >= 40, "only {truths} truths");
    Ok(())
}

#[test]
fn a_cut_anywhere_changes_nothing() -> io::Result<()> {
    for path in captures()? {
        let mut whole = begun();
        for part in parts(&path)? {
            let Part::Said(direction, bytes) = part else { continue };
            let before = whole;
            feed(&mut whole, direction, &bytes);
            for cut in 1..bytes.len() {
                let mut framing = before;
                feed(&mut framing, direction, &bytes[..cut]);
                feed(&mut framing, direction, &bytes[cut..]);
                assert_eq!(framing, whole, "{} cut at {cut} of {}", path.display(), bytes.len());
            }
        }
    }
    Ok(())
}

//! The kernels: what is asked of each, and where its package is found.

use anyhow::{Result, bail};

/// A kernel of the matrix.
#[derive(Debug, PartialEq, Eq)]
pub struct Kernel {
    /// As it is typed, and the head of its column in docs/kernels.md.
    pub version: &'static str,
    /// The Debian suite that has it.
    pub suite: &'static str,
    /// Beginnings of package names, the best first. What follows is a revision, then the flavour.
    pub prefixes: &'static [&'static str],
    pub expected: Expected,
}

/// What is known of a kernel, and asserted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Every probe runs, and the tests pass.
    Carries,
    /// The daemon refuses to run, and `doctor` says no, both in these words.
    Refuses(&'static str),
}

/// All of them, the oldest first.
pub const KERNELS: [Kernel; 4] = [
    Kernel {
        version: "5.10",
        suite: "bullseye",
        prefixes: &["linux-image-5.10.0-"],
        expected: Expected::Refuses("this kernel's sock has no sk_cgrp_data.cgroup"),
    },
    Kernel {
        version: "6.1",
        suite: "bookworm",
        prefixes: &["linux-image-6.1.0-"],
        expected: Expected::Carries,
    },
    Kernel {
        version: "6.12",
        suite: "trixie",
        prefixes: &["linux-image-6.12."],
        expected: Expected::Carries,
    },
    Kernel {
        version: "7",
        suite: "trixie-backports",
        // Since 7.1 the kernel is in a package of its own, and the image package has no image.
        prefixes: &["linux-binary-7.", "linux-image-7."],
        expected: Expected::Carries,
    },
];

/// The kernels of these versions; without any, all.
///
/// # Errors
/// When one is not of the matrix.
pub fn select(versions: &[String]) -> Result<Vec<&'static Kernel>> {
    for version in versions {
        if KERNELS.iter().all(|kernel| kernel.version != version) {
            let known: Vec<&str> = KERNELS.iter().map(|kernel| kernel.version).collect();
            bail!("there is no kernel '{version}' in the matrix; there are {}", known.join(", "));
        }
    }
    let chosen = |kernel: &&Kernel| versions.is_empty() || versions.iter().any(|v| v == kernel.version);
    Ok(KERNELS.iter().filter(chosen).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_chosen_in_the_matrix_order() {
        let chosen = |versions: &[&str]| {
            let versions: Vec<String> = versions.iter().map(ToString::to_string).collect();
            select(&versions).map(|kernels| kernels.iter().map(|kernel| kernel.version).collect::<Vec<_>>())
        };
        assert_eq!(chosen(&[]).unwrap(), ["5.10", "6.1", "6.12", "7"]);
        assert_eq!(chosen(&["7", "6.1"]).unwrap(), ["6.1", "7"]);
        let error = chosen(&["6"]).unwrap_err().to_string();
        assert_eq!(error, "there is no kernel '6' in the matrix; there are 5.10, 6.1, 6.12, 7");
    }
}

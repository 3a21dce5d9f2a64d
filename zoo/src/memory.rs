//! A limit on a container's memory, on hosts of either kind: the v2 controller, or the v1 one where
//! the host is a hybrid.

use crate::cgroup::{Group, mount_point};
use anyhow::{Context, Result};
use std::fs;

/// Limits the container to `bytes`. The answer is the v1 cgroup to enter besides, where there is one.
pub fn limit(container: &Group, bytes: u64) -> Result<Option<Group>> {
    match mount_point(Some("memory"))? {
        Some(root) => {
            let name =
                container.path().components().rev().take(2).map(|part| part.as_os_str().to_string_lossy());
            let group = Group::make(root.join(name.collect::<Vec<_>>().join(".")))?;
            write(&group, "memory.limit_in_bytes", bytes)?;
            Ok(Some(group))
        }
        None => limit_v2(container, bytes).map(|()| None),
    }
}

/// A controller reaches a cgroup only if each of its ancestors passes it on.
fn limit_v2(container: &Group, bytes: u64) -> Result<()> {
    let mut ancestors: Vec<_> = container.path().ancestors().skip(1).take(2).collect();
    ancestors.reverse();
    for ancestor in ancestors {
        let file = ancestor.join("cgroup.subtree_control");
        fs::write(&file, "+memory").with_context(|| format!("enabling memory in {}", file.display()))?;
    }
    write(container, "memory.max", bytes)
}

fn write(group: &Group, file: &str, bytes: u64) -> Result<()> {
    let path = group.path().join(file);
    fs::write(&path, bytes.to_string()).with_context(|| format!("writing {}", path.display()))
}

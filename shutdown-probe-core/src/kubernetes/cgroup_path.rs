//! What a cgroup's path says of pods: whose container it is, or where pods are made.
//!
//! The kubelet names pods' cgroups, the container runtime those of containers. Layouts in use:
//!
//! | who | path, from the directory that holds all pods |
//! |---|---|
//! | cgroupfs driver | `kubepods[/burstable\|/besteffort]/pod<uid>/<id>` (CRI-O: `crio-<id>`) |
//! | systemd driver | `kubepods.slice[/kubepods-burstable.slice]/kubepods-burstable-pod<uid>.slice/<runtime>-<id>.scope` |
//! | kubelet and runtime disagree on the driver | `kubepods-burstable-pod<uid>.slice:cri-containerd:<id>`, one directory |
//!
//! All of it may lie below other directories (kind, a nested kubelet slice), and runtimes nest cgroups inside a
//! container's. systemd writes the dashes of a uid as `_`. The uid of a static pod is a hash of 32 hex digits.
//!
//! Invariant: a pure function of the path; what fits no layout is no pod's.

/// The container of a pod, as its path tells it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PodContainer {
    /// The pod's uid, with dashes; the config hash of a static pod.
    pub pod: String,
    /// The runtime's id of the container: 64 hex digits.
    pub id: String,
}

/// What a cgroup is to pods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Pods' cgroups are made in it: those whose names have `pod` at this byte.
    PodsParent {
        /// From the beginning of the name, in bytes.
        pod_at: usize,
    },
    /// The cgroup of a pod: containers are made in it.
    Pod,
    /// The cgroup of one container, a pod's sandbox among them.
    Container(PodContainer),
    /// A runtime's monitor process beside a container (conmon).
    Monitor,
    /// Nested in a container.
    Inside(PodContainer),
    /// Nothing of a pod.
    Elsewhere,
}

const QUALITIES: [&str; 2] = ["burstable", "besteffort"];
/// The length of a runtime's container id, in hex digits.
const ID_LENGTH: usize = 64;
/// What a UID has besides letters and digits.
const DASH: u8 = b'-';

/// What the cgroup at this path is to pods.
pub fn place(path: &str) -> Place {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    for (index, part) in parts.iter().enumerate() {
        let is_last = index + 1 == parts.len();
        if let Some(container) = flattened(part) {
            return container_or_inside(container, is_last);
        }
        let Some(pod) = pod_uid(&parts[..=index]) else { continue };
        let Some(child) = parts.get(index + 1) else { return Place::Pod };
        return match container_id(child) {
            Some(id) => container_or_inside(PodContainer { pod, id }, index + 2 == parts.len()),
            None if is_monitor(child) => Place::Monitor,
            None => Place::Elsewhere,
        };
    }
    pods_parent(&parts).map_or(Place::Elsewhere, |pod_at| Place::PodsParent { pod_at })
}

fn container_or_inside(container: PodContainer, is_last: bool) -> Place {
    if is_last { Place::Container(container) } else { Place::Inside(container) }
}

/// Where `pod` stands in the names of the pods made here, if they are made here.
fn pods_parent(parts: &[&str]) -> Option<usize> {
    let name = *parts.last()?;
    match name.strip_suffix(".slice") {
        Some(stem) => is_slice_of_pods(stem).then_some(stem.len() + 1),
        None => is_directory_of_pods(parts).then_some(0),
    }
}

/// cgroupfs: `kubepods`, or a quality-of-service class in it.
fn is_directory_of_pods(parts: &[&str]) -> bool {
    match parts {
        [.., "kubepods"] => true,
        [.., "kubepods", class] => QUALITIES.contains(class),
        _ => false,
    }
}

/// systemd: a slice's name holds those of its parents, `kubelet-kubepods-burstable` too.
fn is_slice_of_pods(stem: &str) -> bool {
    let class = QUALITIES.iter().find_map(|class| stem.strip_suffix(class)?.strip_suffix('-'));
    let stem = class.unwrap_or(stem);
    stem.strip_suffix("kubepods").is_some_and(|before| before.is_empty() || before.ends_with('-'))
}

/// The uid of the pod whose cgroup the last part is.
fn pod_uid(parts: &[&str]) -> Option<String> {
    let (name, parents) = parts.split_last()?;
    match name.strip_suffix(".slice") {
        Some(stem) => uid_of_slice(stem),
        None => is_directory_of_pods(parents).then(|| uid(name.strip_prefix("pod")?)).flatten(),
    }
}

fn uid_of_slice(stem: &str) -> Option<String> {
    let (before, rest) = stem.rsplit_once("-pod")?;
    is_slice_of_pods(before).then(|| uid(rest)).flatten()
}

/// `kubepods-burstable-pod<uid>.slice:cri-containerd:<id>`.
fn flattened(name: &str) -> Option<PodContainer> {
    let mut parts = name.split(':');
    let (slice, _runtime, id) = (parts.next()?, parts.next()?, parts.next()?);
    let pod = uid_of_slice(slice.strip_suffix(".slice")?)?;
    is_id(id).then(|| PodContainer { pod, id: id.to_owned() })
}

/// A uid, however the driver wrote its dashes. The API server makes UUIDs; a static pod's may be anything short.
fn uid(text: &str) -> Option<String> {
    let uid = text.replace('_', "-");
    let is_uid = |byte: u8| byte.is_ascii_alphanumeric() || byte == DASH;
    (!uid.is_empty() && uid.len() <= ID_LENGTH && uid.bytes().all(is_uid)).then_some(uid)
}

/// The runtime's id in the name of a container's cgroup: `<id>`, `crio-<id>` or `<runtime>-<id>.scope`.
fn container_id(name: &str) -> Option<String> {
    if is_monitor(name) {
        return None;
    }
    let name = name.strip_suffix(".scope").unwrap_or(name);
    let id = name.rsplit_once('-').map_or(name, |(_, id)| id);
    is_id(id).then(|| id.to_owned())
}

fn is_monitor(name: &str) -> bool {
    name.starts_with("crio-conmon-")
}

fn is_id(text: &str) -> bool {
    text.len() == ID_LENGTH && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "3f2c8e1d9b7a60514f8e2d1c0b9a8f7e6d5c4b3a29181706f5e4d3c2b1a09f8e";
    const UID: &str = "9d3c1f0e-5a7b-4c2d-8e6f-0a1b2c3d4e5f";
    const HASH: &str = "d3b07384d113edec49eaa6238ad5ff00";

    /// `{id}`, `{uid}`, `{uid_}` (as systemd writes it) and `{hash}` stand for the constants above.
    fn real(path: &str) -> String {
        path.replace("{id}", ID)
            .replace("{uid_}", &UID.replace('-', "_"))
            .replace("{uid}", UID)
            .replace("{hash}", HASH)
    }

    fn container(pod: &str) -> PodContainer {
        PodContainer { pod: pod.into(), id: ID.into() }
    }

    #[test]
    fn containers_of_every_layout_are_found() {
        for path in [
            // cgroupfs driver: containerd and cri-dockerd, then CRI-O.
            "/kubepods/burstable/pod{uid}/{id}",
            "/kubepods/besteffort/pod{uid}/{id}",
            "/kubepods/pod{uid}/{id}",
            "/kubepods/burstable/pod{uid}/crio-{id}",
            // systemd driver: containerd, CRI-O, cri-dockerd, Docker itself.
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{uid_}.slice/cri-containerd-{id}.scope",
            "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{uid_}.slice/crio-{id}.scope",
            "/kubepods.slice/kubepods-pod{uid_}.slice/docker-{id}.scope",
            // kind and others that give the kubelet a cgroup root of its own.
            "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice/kubelet-kubepods-burstable-pod{uid_}.slice/cri-containerd-{id}.scope",
            "/system.slice/docker-{id}.scope/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod{uid_}.slice/cri-containerd-{id}.scope",
            "/docker/{id}/kubelet/kubepods/burstable/pod{uid}/{id}",
            // k3s, rootless.
            "/user.slice/user-1000.slice/user@1000.service/k3s.service/kubepods/besteffort/pod{uid}/{id}",
            // A kubelet with the systemd driver and a containerd without.
            "/system.slice/containerd.service/kubepods-besteffort-pod{uid_}.slice:cri-containerd:{id}",
            "/kubepods-burstable-pod{uid_}.slice:cri-containerd:{id}",
        ] {
            assert_eq!(place(&real(path)), Place::Container(container(UID)), "{path}");
        }
    }

    #[test]
    fn static_pods_go_by_their_hash() {
        for path in [
            "/kubepods/burstable/pod{hash}/{id}",
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{hash}.slice/cri-containerd-{id}.scope",
        ] {
            assert_eq!(place(&real(path)), Place::Container(container(HASH)), "{path}");
        }
    }

    #[test]
    fn what_is_nested_belongs_to_the_container() {
        for path in [
            // crun with cgroup v2, as CRI-O calls it.
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{uid_}.slice/crio-{id}.scope/container",
            // A systemd, or a Docker, inside a container.
            "/kubepods/burstable/pod{uid}/{id}/init.scope",
            "/kubepods/burstable/pod{uid}/{id}/docker/{id}",
            "/kubepods-burstable-pod{uid_}.slice:cri-containerd:{id}/system.slice",
        ] {
            assert_eq!(place(&real(path)), Place::Inside(container(UID)), "{path}");
        }
    }

    #[test]
    fn a_nested_cluster_does_not_hide_the_outer_container() {
        let path = real("/kubepods/burstable/pod{uid}/{id}/kubelet/kubepods/pod{hash}/{id}");
        assert_eq!(place(&path), Place::Inside(container(UID)));
    }

    #[test]
    fn pods_and_their_parents_are_told_apart() {
        for (path, pod_at) in [
            ("/kubepods", 0),
            ("/kubepods/burstable", 0),
            ("/docker/{id}/kubelet/kubepods/besteffort", 0),
            ("/kubepods.slice", "kubepods-".len()),
            ("/kubepods.slice/kubepods-besteffort.slice", "kubepods-besteffort-".len()),
            ("/kubelet.slice/kubelet-kubepods.slice", "kubelet-kubepods-".len()),
        ] {
            assert_eq!(place(&real(path)), Place::PodsParent { pod_at }, "{path}");
        }
        for path in [
            "/kubepods/burstable/pod{uid}",
            "/kubepods/pod{hash}",
            "/kubepods.slice/kubepods-pod{uid_}.slice",
            "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice/kubelet-kubepods-besteffort-pod{uid_}.slice",
        ] {
            assert_eq!(place(&real(path)), Place::Pod, "{path}");
        }
    }

    #[test]
    fn the_place_of_pod_in_a_name_is_where_it_stands_in_pods_names() {
        let parent = real("/kubepods.slice/kubepods-burstable.slice");
        let Place::PodsParent { pod_at } = place(&parent) else { panic!("{parent}") };
        assert_eq!(real("kubepods-burstable-pod{uid_}.slice").get(pod_at..pod_at + 3), Some("pod"));
    }

    #[test]
    fn what_is_no_pods_stays_so() {
        for path in [
            "",
            "/",
            "/system.slice/nginx.service",
            "/system.slice/docker-{id}.scope",
            "/docker/{id}",
            "/machine.slice/libpod-{id}.scope",
            "/mykubepods",
            "/burstable",
            "/pod{uid}/{id}",
            "/system.slice/kubepods-of-mine.service",
            "/kubepods/burstable/podium of three/{id}",
            "/kubepods/burstable/pod{uid}/not-a-container",
            "/kubepods/burstable/pod{uid}/{id}0",
            "/unknown-77",
        ] {
            assert_eq!(place(&real(path)), Place::Elsewhere, "{path}");
        }
        let monitor = "/kubepods.slice/kubepods-pod{uid_}.slice/crio-conmon-{id}.scope";
        assert_eq!(place(&real(monitor)), Place::Monitor);
    }
}

//! Where pods are made: containers begin at the depth that their names say.

use crate::stage::{Container, Directory, SHORTLY, Stage, header};
use shutdown_probe::probe::{Hierarchy, Settings, Watch};
use shutdown_probe_common::record::Record;
use std::thread::sleep;

const ID: &str = "3f2c8e1d9b7a60514f8e2d1c0b9a8f7e6d5c4b3a29181706f5e4d3c2b1a09f8e";
const UID: &str = "9d3c1f0e-5a7b-4c2d-8e6f-0a1b2c3d4e5f";

fn stage_of_pods(directory: Directory) -> Stage {
    Stage::watching(directory, &Settings { watch: Watch::Pods, ..Settings::default() })
}

fn made(stage: &mut Stage, container: &Container) -> String {
    stage.wait(container, "the container", |record| match record {
        Record::CgroupMade(made) if made.cgroup == made.header.container => {
            Some(String::from_utf8_lossy(&made.path).trim_end_matches('\0').to_owned())
        }
        _ => None,
    })
}

#[test]
fn containers_begin_in_pods_of_either_driver() {
    for (parent, pod, container) in [
        ("kubepods", format!("pod{UID}"), ID.to_owned()),
        (
            "kubepods.slice",
            format!("kubepods-pod{}.slice", UID.replace('-', "_")),
            format!("cri-containerd-{ID}.scope"),
        ),
    ] {
        let directory = Directory::new();
        let parent = directory.container(parent);
        let mut stage = stage_of_pods(directory);
        let class = parent.nested("besteffort");
        let pod = parent.nested(&pod);
        let container = pod.nested(&container);
        let nested = container.nested("container");
        let path = made(&mut stage, &container);
        assert!(path.contains(ID), "{path}");
        assert!(stage.table.get(pod.id).is_none(), "a pod is no container");
        assert!(stage.table.get(class.id).is_none(), "a class of pods is no pod");
        stage.wait(&container, "what is nested in it", |record| match record {
            Record::CgroupMade(made) if made.cgroup == nested.id => Some(()),
            _ => None,
        });
        let _puppet = nested.puppet();
        stage.wait(&container, "a process", |record| {
            matches!(record, Record::ProcessEntered(_)).then_some(())
        });
    }
}

#[test]
fn pods_that_exist_are_found_and_strangers_are_not() {
    let directory = Directory::new();
    let stranger = directory.container("nginx.service");
    let container =
        directory.container("kubepods").nested("burstable").nested(&format!("pod{UID}")).nested(ID);
    let mut stage = stage_of_pods(directory);
    let ids: Vec<_> = stage.probes.existing().iter().map(|existing| existing.id).collect();
    assert!(ids.contains(&container.id) && !ids.contains(&stranger.id), "{ids:?}");
    let _puppet = stranger.puppet();
    sleep(SHORTLY);
    assert!(stage.records().iter().all(|record| header(record).container != stranger.id));
}

#[test]
fn a_kubelet_that_comes_later_is_found() {
    let mut stage = stage_of_pods(Directory::new());
    let parent = stage.container("kubepods");
    let before = parent.nested(&format!("pod{UID}")).nested(ID);
    assert!(stage.table.get(before.id).is_none(), "nobody had said that pods are made there");
    let hierarchy = Hierarchy::find().unwrap();
    let (places, news) = stage.probes.look_for_pods(&hierarchy).unwrap();
    assert!(places >= 2 && news.iter().any(|found| found.id == before.id), "{places} {news:?}");
    let after = parent.nested(&format!("pod{}", UID.replace('9', "8"))).nested(ID);
    assert!(stage.table.get(after.id).is_some());
    let (_, news) = stage.probes.look_for_pods(&hierarchy).unwrap();
    assert!(!news.iter().any(|found| [before.id, after.id].contains(&found.id)), "each is told once");
}

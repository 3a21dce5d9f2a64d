//! What the API says of pods, told to the containers that are theirs.

use super::Engine;
use crate::command::Command;
use crate::identity::{ContainerId, KernelInstant};
use crate::input::{EndpointStep, Input};
use crate::kubernetes::Pod;
use crate::termination::Origin;

impl Engine {
    /// Where only pods' containers count: finds its pod.
    pub(super) fn join(&mut self, id: ContainerId, at: KernelInstant) {
        let Some(container) = self.containers.get_mut(&id) else { return };
        container.join();
        let Some(member) = &container.member else { return };
        self.members.entry(member.key.pod.clone()).or_default().insert(id);
        if let Some((pod, removed)) = self.registry.of(&member.key) {
            container.meet(at, pod, removed);
        }
    }

    /// What the API says of a pod.
    pub(super) fn meet(&mut self, at: KernelInstant, pod: Pod) {
        let Some(pod) = self.registry.take(pod) else { return };
        self.tell_members(at, &pod);
    }

    /// The API has a pod no more.
    pub(super) fn part(&mut self, at: KernelInstant, uid: &str) {
        self.registry.remove(uid);
        if let Some(pod) = self.registry.get(uid) {
            self.tell_members(at, &pod);
        }
    }

    fn tell_members(&mut self, at: KernelInstant, pod: &Pod) {
        for id in self.members_of(pod) {
            let Some(container) = self.containers.get_mut(&id) else { continue };
            let Some(member) = &container.member else { continue };
            let Some((pod, removed)) = self.registry.of(&member.key) else { continue };
            let story = container.termination.as_ref().map(|termination| termination.began_at);
            let was_terminating = story.is_some();
            container.meet(at, pod, removed);
            let goes_on = story == container.termination.as_ref().map(|termination| termination.began_at);
            if was_terminating && !goes_on {
                // A suspicion gave way to a deletion: the kernel side's window is to begin with that, too.
                self.commands.push_back(Command::Silence { container: id });
            }
            self.note_serving(id);
            self.follow_up(id, at, was_terminating);
        }
    }

    fn members_of(&self, pod: &Pod) -> Vec<ContainerId> {
        let names = [Some(&pod.uid), pod.config_hash.as_ref()];
        let named = names.into_iter().flatten().filter_map(|name| self.members.get(name)).flatten().copied();
        let is_its = |id: &ContainerId| {
            let member = self.containers.get(id).and_then(|container| container.member.as_ref());
            let found = member.and_then(|member| self.registry.of(&member.key));
            found.is_some_and(|(found, _)| found.uid == pod.uid)
        };
        named.filter(is_its).collect()
    }

    /// An endpoint of a pod changed.
    pub(super) fn endpoint(&mut self, at: KernelInstant, uid: &str, service: &str, step: EndpointStep) {
        let Some(pod) = self.registry.get(uid) else { return };
        for id in self.members_of(&pod) {
            let Some(container) = self.containers.get_mut(&id) else { continue };
            let was_terminating = container.termination.is_some();
            container.in_termination(|termination| termination.endpoint(at, service, step));
            self.follow_up(id, at, was_terminating);
        }
    }

    /// What is known of a client that comes.
    pub(super) fn origin_of(&self, input: &Input) -> Origin {
        let (container, local, peer) = match input {
            Input::ConnectionOpened(connection) => (connection.container, connection.local, connection.peer),
            Input::Refused { container, local, peer, .. } => (*container, *local, *peer),
            _ => return Origin::default(),
        };
        if !self.settings.pods {
            return Origin::default();
        }
        let networks = &self.settings.cluster_networks;
        let member = self.containers.get(&container).and_then(|container| container.member.as_ref());
        let member = member.filter(|_| self.registry.is_node(peer.ip()));
        Origin {
            source: Some(self.registry.source(peer.ip(), networks)),
            probe_period: member.and_then(|member| member.probe_period(local.port())),
        }
    }
}

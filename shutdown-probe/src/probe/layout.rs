//! What the kernel side needs to know of the running kernel, and where BTF says it is.
//!
//! Invariant: a missing or differently sized member is an error that names it, never a guess.

use super::btf::Btf;

/// What this kernel does not have, or has in another form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// No such member.
    #[error("this kernel's {structure} has no {member}")]
    Missing {
        /// The structure.
        structure: &'static str,
        /// The path from it.
        member: &'static str,
    },
    /// The member does not have the size that the kernel side reads.
    #[error("this kernel's {structure}.{member} has {found} bits, not {expected}")]
    Size {
        /// The structure.
        structure: &'static str,
        /// The path from it.
        member: &'static str,
        /// What it has.
        found: u32,
        /// What is read.
        expected: u32,
    },
}

struct Field {
    /// The kernel side's constant.
    symbol: &'static str,
    structure: &'static str,
    member: &'static str,
    /// How many bits are read; 0: only the place matters.
    bits: u32,
}

const fn field(symbol: &'static str, structure: &'static str, member: &'static str, bits: u32) -> Field {
    Field { symbol, structure, member, bits }
}

const FIELDS: &[Field] = &[
    field("TASK_FLAGS", "task_struct", "flags", 32),
    field("TASK_PID", "task_struct", "pid", 32),
    field("TASK_TGID", "task_struct", "tgid", 32),
    field("TASK_EXIT_CODE", "task_struct", "exit_code", 32),
    field("TASK_START_BOOTTIME", "task_struct", "start_boottime", 64),
    field("TASK_COMM", "task_struct", "comm", 128),
    field("TASK_REAL_PARENT", "task_struct", "real_parent", 64),
    field("TASK_GROUP_LEADER", "task_struct", "group_leader", 64),
    field("TASK_SIGNAL", "task_struct", "signal", 64),
    field("TASK_SIGHAND", "task_struct", "sighand", 64),
    field("TASK_BLOCKED", "task_struct", "blocked", 64),
    field("TASK_REAL_BLOCKED", "task_struct", "real_blocked", 64),
    field("TASK_CGROUPS", "task_struct", "cgroups", 64),
    field("SIGNAL_FLAGS", "signal_struct", "flags", 32),
    field("SIGNAL_LIVE", "signal_struct", "live", 32),
    field("SIGHAND_ACTION", "sighand_struct", "action", 0),
    field("K_SIGACTION_HANDLER", "k_sigaction", "sa.sa_handler", 64),
    field("CSS_SET_CGROUP", "css_set", "dfl_cgrp", 64),
    field("CGROUP_NODE", "cgroup", "kn", 64),
    field("CGROUP_PARENT", "cgroup", "self.parent", 64),
    field("CGROUP_ROOT", "cgroup", "root", 64),
    field("CSS_CGROUP", "cgroup_subsys_state", "cgroup", 64),
    field("ROOT_HIERARCHY", "cgroup_root", "hierarchy_id", 32),
    field("NODE_ID", "kernfs_node", "id", 64),
    field("NODE_NAME", "kernfs_node", "name", 64),
    field("SOCK_FAMILY", "sock", "__sk_common.skc_family", 16),
    field("SOCK_STATE", "sock", "__sk_common.skc_state", 8),
    field("INET_LOCAL_PORT", "inet_sock", "inet_sport", 16),
    field("SOCK_REMOTE_PORT", "sock", "__sk_common.skc_dport", 16),
    field("SOCK_LOCAL_V4", "sock", "__sk_common.skc_rcv_saddr", 32),
    field("SOCK_REMOTE_V4", "sock", "__sk_common.skc_daddr", 32),
    field("SOCK_NET", "sock", "__sk_common.skc_net.net", 64),
    field("SOCK_SHUTDOWN", "sock", "sk_shutdown", 8),
    field("SOCK_SOCKET", "sock", "sk_socket", 64),
    field("SOCK_ERROR", "sock", "sk_err", 32),
    field("SOCK_CGROUP", "sock", "sk_cgrp_data.cgroup", 64),
    field("NET_INUM", "net", "ns.inum", 32),
    field("TCP_WRITE_SEQ", "tcp_sock", "write_seq", 32),
    field("TCP_COPIED_SEQ", "tcp_sock", "copied_seq", 32),
    field("TCP_RCV_NXT", "tcp_sock", "rcv_nxt", 32),
    field("TCP_SND_UNA", "tcp_sock", "snd_una", 32),
    field("TCP_SND_NXT", "tcp_sock", "snd_nxt", 32),
    field("TCP_BYTES_RECEIVED", "tcp_sock", "bytes_received", 64),
    field("TCP_BYTES_SENT", "tcp_sock", "bytes_sent", 64),
    field("TCP_LAST_SENT", "tcp_sock", "lsndtime", 32),
    field("TCP_DEPARTURE", "tcp_sock", "tcp_wstamp_ns", 64),
    field("TCP_PENDING", "tcp_sock", "inet_conn.icsk_accept_queue.qlen.counter", 32),
    field("TCP_LAST_RECEIVED", "tcp_sock", "inet_conn.icsk_ack.lrcvtime", 32),
    field("SKB_HEAD", "sk_buff", "head", 64),
    field("SKB_DATA", "sk_buff", "data", 64),
    field("SKB_LEN", "sk_buff", "len", 32),
    field("SKB_NETWORK_HEADER", "sk_buff", "network_header", 16),
    field("SKB_TRANSPORT_HEADER", "sk_buff", "transport_header", 16),
    field("SKB_DEVICE", "sk_buff", "dev", 64),
    field("DEVICE_NET", "net_device", "nd_net.net", 64),
    field("SOCKET_SK", "socket", "sk", 64),
];

/// Members that a kernel may be built without. Nobody asks for them there: without IPv6 no socket
/// is of its family.
const OPTIONAL_FIELDS: &[Field] = &[
    field("SOCK_LOCAL_V6", "sock", "__sk_common.skc_v6_rcv_saddr", 128),
    field("SOCK_REMOTE_V6", "sock", "__sk_common.skc_v6_daddr", 128),
];

/// What a process's memory is described by, for those programs that look at what it reads and writes.
const MESSAGE_FIELDS: &[Field] = &[
    field("MSG_ITER", "msghdr", "msg_iter", 0),
    field("MSG_ITER_TYPE", "msghdr", "msg_iter.iter_type", 8),
    field("MSG_ITER_OFFSET", "msghdr", "msg_iter.iov_offset", 64),
    // One place for one piece of memory (`ubuf`) and for an array of pieces.
    field("MSG_ITER_POINTER", "msghdr", "msg_iter.ubuf", 64),
    field("MSG_ITER_COUNT", "msghdr", "msg_iter.count", 64),
    field("SOCK_QUEUED", "sock", "sk_wmem_queued", 32),
    field("SOCK_SEND_BUFFER", "sock", "sk_sndbuf", 32),
    field("TCP_MOST_UNSENT", "tcp_sock", "notsent_lowat", 32),
    field("SKB_SOCK", "sk_buff", "sk", 64),
    field("SKB_CB", "sk_buff", "cb", 0),
];

/// The values of `enum iter_type` that say so.
const ITER_TYPES: [&str; 2] = ["ITER_UBUF", "ITER_IOVEC"];

/// Whose values are asked for.
pub const ENUMERATIONS: &[&str] = &["iter_type"];

/// Whose whole size is asked for.
pub const SIZES: &[&str] = &["k_sigaction"];

/// Every member that is asked for: structure and path.
pub fn members() -> impl Iterator<Item = (&'static str, &'static str)> {
    let fields = FIELDS.iter().chain(OPTIONAL_FIELDS).chain(MESSAGE_FIELDS);
    let fields = fields.map(|field| (field.structure, field.member));
    fields.chain([IS_MPTCP])
}

/// The kernel side's constants, by symbol.
pub type Layout = Vec<(&'static str, u64)>;

/// Finds everything that the kernel side needs.
///
/// # Errors
/// [`LayoutError`] names the first thing that this kernel lacks.
pub fn resolve(btf: &Btf) -> Result<Layout, LayoutError> {
    let mut layout = Layout::new();
    for field in FIELDS {
        layout.push((field.symbol, offset(btf, field)?));
    }
    for field in OPTIONAL_FIELDS {
        match offset(btf, field) {
            Ok(found) => layout.push((field.symbol, found)),
            Err(LayoutError::Missing { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    let action = btf.size("k_sigaction");
    let action = action.ok_or(LayoutError::Missing { structure: "k_sigaction", member: "size" })?;
    layout.push(("K_SIGACTION_SIZE", action.into()));
    layout.extend(is_mptcp(btf));
    Ok(layout)
}

/// Finds what the programs that look at payload need besides.
///
/// # Errors
/// [`LayoutError`] names the first thing that this kernel lacks.
pub fn resolve_message(btf: &Btf) -> Result<Layout, LayoutError> {
    let mut layout = Layout::new();
    for field in MESSAGE_FIELDS {
        layout.push((field.symbol, offset(btf, field)?));
    }
    for symbol in ITER_TYPES {
        let number = btf.enumerator("iter_type", symbol);
        let number = number.ok_or(LayoutError::Missing { structure: "iter_type", member: symbol })?;
        layout.push((symbol, number.into()));
    }
    Ok(layout)
}

fn offset(btf: &Btf, field: &Field) -> Result<u64, LayoutError> {
    let &Field { structure, member, bits: expected, .. } = field;
    let found = btf.member(structure, member).ok_or(LayoutError::Missing { structure, member })?;
    if (expected != 0 && found.bits != expected) || !found.bit_offset.is_multiple_of(8) {
        return Err(LayoutError::Size { structure, member, found: found.bits, expected });
    }
    Ok(u64::from(found.bit_offset / 8))
}

const IS_MPTCP: (&str, &str) = ("tcp_sock", "is_mptcp");

/// A `bool` on some kernels, a bit on others, absent where MPTCP is not built in.
fn is_mptcp(btf: &Btf) -> Vec<(&'static str, u64)> {
    let Some(found) = btf.member(IS_MPTCP.0, IS_MPTCP.1) else { return Vec::new() };
    let mask = if found.bits == 1 { 1 << (found.bit_offset % 8) } else { 0xFF };
    vec![("TCP_IS_MPTCP", u64::from(found.bit_offset / 8)), ("TCP_IS_MPTCP_MASK", mask)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_running_kernel_has_everything() {
        let btf = Btf::parse(std::fs::read("/sys/kernel/btf/vmlinux").unwrap()).unwrap();
        let layout = resolve(&btf).unwrap();
        assert!(layout.len() > FIELDS.len());
        let of = |symbol| layout.iter().find(|(name, _)| *name == symbol).unwrap().1;
        assert_eq!(of("TASK_TGID"), of("TASK_PID") + 4, "neighbours since 2.6");
        assert_eq!(of("K_SIGACTION_SIZE"), 32);
        assert_eq!(of("SOCK_LOCAL_V4"), of("SOCK_REMOTE_V4") + 4);
        assert_eq!(resolve_message(&btf).unwrap().len(), MESSAGE_FIELDS.len() + ITER_TYPES.len());
    }

    #[test]
    fn a_lack_is_named() {
        // Nothing but a header and the empty string.
        let mut bytes = vec![0x9F, 0xEB, 1, 0];
        bytes.extend([24_u32, 0, 0, 0, 1].iter().flat_map(|word| word.to_ne_bytes()));
        bytes.push(0);
        let error = resolve(&Btf::parse(bytes).unwrap()).unwrap_err();
        assert_eq!(error, LayoutError::Missing { structure: "task_struct", member: "flags" });
        assert_eq!(error.to_string(), "this kernel's task_struct has no flags");
    }
}

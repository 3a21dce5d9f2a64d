//! Where the running kernel keeps its fields, in bytes. User space sets each from BTF before it
//! loads the programs; the verifier then takes them for constants.

use aya_ebpf::Global;

macro_rules! offsets {
    ($($name:ident)*) => {
        $(#[unsafe(no_mangle)] pub static $name: Global<u64> = Global::new(0);)*
    };
}

offsets! {
    TASK_FLAGS TASK_PID TASK_TGID TASK_EXIT_CODE TASK_START_BOOTTIME TASK_COMM
    TASK_REAL_PARENT TASK_GROUP_LEADER TASK_SIGNAL TASK_SIGHAND TASK_BLOCKED TASK_REAL_BLOCKED TASK_CGROUPS
    SIGNAL_FLAGS SIGNAL_LIVE
    SIGHAND_ACTION K_SIGACTION_SIZE K_SIGACTION_HANDLER
    CSS_SET_CGROUP
    CGROUP_NODE CGROUP_PARENT CGROUP_ROOT CSS_CGROUP ROOT_HIERARCHY NODE_ID NODE_NAME
    SOCK_FAMILY SOCK_STATE INET_LOCAL_PORT SOCK_REMOTE_PORT SOCK_LOCAL_V4 SOCK_REMOTE_V4
    SOCK_LOCAL_V6 SOCK_REMOTE_V6 SOCK_NET SOCK_SHUTDOWN SOCK_SOCKET SOCK_ERROR SOCK_CGROUP
    SOCK_QUEUED SOCK_SEND_BUFFER
    NET_INUM
    TCP_WRITE_SEQ TCP_COPIED_SEQ TCP_RCV_NXT TCP_SND_UNA TCP_BYTES_RECEIVED TCP_BYTES_SENT
    TCP_LAST_SENT TCP_DEPARTURE TCP_LAST_RECEIVED TCP_IS_MPTCP TCP_SND_NXT TCP_MOST_UNSENT
    TCP_PENDING
    SKB_HEAD SKB_DATA SKB_LEN SKB_NETWORK_HEADER SKB_TRANSPORT_HEADER SKB_DEVICE DEVICE_NET
    SOCKET_SK
    MSG_ITER MSG_ITER_TYPE MSG_ITER_OFFSET MSG_ITER_POINTER MSG_ITER_COUNT
    SKB_SOCK SKB_CB
}

/// Which bits of the byte at [`TCP_IS_MPTCP`] say it. 0: this kernel has no MPTCP.
#[unsafe(no_mangle)]
pub static TCP_IS_MPTCP_MASK: Global<u64> = Global::new(0);

/// `ITER_UBUF` and `ITER_IOVEC` of `enum iter_type`: the bytes lie in a process's memory, in one piece
/// or in several.
#[unsafe(no_mangle)]
pub static ITER_UBUF: Global<u64> = Global::new(0);
#[unsafe(no_mangle)]
pub static ITER_IOVEC: Global<u64> = Global::new(0);

/// Which protocols are followed: bit n for protocol n.
#[unsafe(no_mangle)]
pub static PROTOCOLS: Global<u64> = Global::new(0);

/// The stop signals: bit n - 1 for signal n.
#[unsafe(no_mangle)]
pub static STOP_SIGNALS: Global<u64> = Global::new(0);

/// 1: each cgroup is a container of its own.
#[unsafe(no_mangle)]
pub static WATCH_ALL: Global<u64> = Global::new(0);

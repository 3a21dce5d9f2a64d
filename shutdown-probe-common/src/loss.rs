//! Where the kernel side can lose something. Every loss is counted.

/// A place where something was lost; the index into the per-CPU array `LOSSES`.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Loss {
    /// The ring buffer had no room for a record.
    Ring = 0,
    /// Socket storage could not be had for a connection: it becomes `not_measured`.
    SocketStorage = 1,
    /// The map of containers or of cgroups was full.
    Containers = 2,
    /// The map of listening addresses was full.
    Listeners = 3,
    /// A kernel structure could not be read.
    KernelRead = 4,
}

impl Loss {
    /// How many there are.
    pub const COUNT: usize = 5;

    /// Every place, in the order of its discriminant.
    pub const ALL: [Self; Self::COUNT] =
        [Self::Ring, Self::SocketStorage, Self::Containers, Self::Listeners, Self::KernelRead];

    /// The name used in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ring => "ring",
            Self::SocketStorage => "socket_storage",
            Self::Containers => "containers",
            Self::Listeners => "listeners",
            Self::KernelRead => "kernel_read",
        }
    }
}

//! What a function is for, by its name.

/// What functions are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Matter {
    Record,
    Ring,
    State,
    Program,
    Sdk,
    Socket,
    Json,
    Inflate,
    Copies,
    Allocator,
    Clock,
    Other,
    KernelNet,
    KernelPages,
    KernelWakes,
    KernelOther,
}

/// Parts of names, the most telling first.
const USER: &[(Matter, &[&str])] = &[
    (
        Matter::Allocator,
        &["malloc", "_int_free", "cfree", "realloc", "calloc", "unlink_chunk", "__rdl_", "__rust_"],
    ),
    (Matter::Copies, &["memcpy", "memmove", "memset", "memcmp", "bcmp"]),
    (Matter::Clock, &["clock_gettime", "Timespec", "Instant"]),
    (Matter::State, &["mixcord_table", "mixcord_state"]),
    (Matter::Ring, &["mixcord_ring", "mixcord_memory"]),
    (Matter::Record, &["mixcord_event"]),
    (
        Matter::Program,
        &["mixcord_gateway", "mixcord_cache", "pipeline_consumer", "mixcord_process"],
    ),
    (Matter::Sdk, &["mixcord::"]),
    (Matter::Inflate, &["zstd", "ZSTD", "HUF_", "zlib", "inflate"]),
    (Matter::Json, &["serde_json"]),
    (Matter::Socket, &["tungstenite", "tokio", "mio::", "bytes::", "futures_util"]),
];

const KERNEL: &[(Matter, &[&str])] = &[
    (
        Matter::KernelPages,
        &[
            "clear_page",
            "page_fault",
            "fault",
            "folio",
            "shmem",
            "pte",
            "pmd",
            "zap_",
            "unmap",
            "mmap",
            "vma",
            "filemap",
            "lru",
            "rmap",
            "xas_",
            "memcg",
            "mem_cgroup",
            "fallocate",
        ],
    ),
    (
        Matter::KernelNet,
        &[
            "tcp",
            "sock",
            "skb",
            "inet",
            "ip_",
            "net",
            "loopback",
            "copy_to_iter",
            "copy_page",
            "rep_movs",
            "_copy_",
            "bbr",
            "cubic",
            "dev_",
            "recv",
        ],
    ),
    (
        Matter::KernelWakes,
        &[
            "futex",
            "sched",
            "wake",
            "finish_task",
            "switch",
            "hrtimer",
            "timer",
            "epoll",
            "ep_",
            "eventfd",
            "nanosleep",
            "membarrier",
            "ipi",
            "smp_call",
            "idle",
            "rcu",
        ],
    ),
];

impl Matter {
    /// In the order of tables.
    pub(super) const ALL: [Self; 16] = [
        Self::Record,
        Self::Ring,
        Self::State,
        Self::Program,
        Self::Sdk,
        Self::Socket,
        Self::Json,
        Self::Inflate,
        Self::Copies,
        Self::Allocator,
        Self::Clock,
        Self::Other,
        Self::KernelNet,
        Self::KernelPages,
        Self::KernelWakes,
        Self::KernelOther,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Record => "records: decoding, checking, reading",
            Self::Ring => "ring",
            Self::State => "state table",
            Self::Program => "the program itself: session, engine, handler",
            Self::Sdk => "SDK",
            Self::Socket => "websocket and runtime",
            Self::Json => "serde_json",
            Self::Inflate => "inflating",
            Self::Copies => "copies and comparisons of bytes",
            Self::Allocator => "allocator",
            Self::Clock => "clocks",
            Self::Other => "other functions",
            Self::KernelNet => "kernel: sockets",
            Self::KernelPages => "kernel: pages",
            Self::KernelWakes => "kernel: sleeps and wakes",
            Self::KernelOther => "kernel: other",
        }
    }

    pub(super) fn of(function: &str, is_kernel: bool) -> Self {
        let (table, other) =
            if is_kernel { (KERNEL, Self::KernelOther) } else { (USER, Self::Other) };
        let is_in = |parts: &[&str]| parts.iter().any(|part| function.contains(part));
        table.iter().find(|(_, parts)| is_in(parts)).map_or(other, |&(matter, _)| matter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_by_their_names() {
        for (name, is_kernel, matter) in [
            ("mixcord_event::record::Record::parse", false, Matter::Record),
            ("mixcord::lane::Lane::take", false, Matter::Sdk),
            ("core::ptr::drop_in_place<mixcord_cache::engine::Batch>", false, Matter::Program),
            ("<mixcord_table::Table as core::fmt::Debug>::fmt", false, Matter::State),
            ("__memmove_avx_unaligned_erms", false, Matter::Copies),
            ("_int_malloc", false, Matter::Allocator),
            ("main", false, Matter::Other),
            ("tcp_recvmsg_locked", true, Matter::KernelNet),
            ("clear_page_erms", true, Matter::KernelPages),
            ("futex_wake", true, Matter::KernelWakes),
            ("do_syscall_64", true, Matter::KernelOther),
        ] {
            assert_eq!(Matter::of(name, is_kernel), matter, "{name}");
        }
        assert!(Matter::ALL.is_sorted());
    }
}

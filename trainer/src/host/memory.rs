//! How much memory this process holds and how much the machine can give.

use core::ffi::{c_int, c_long};
use std::path::Path;

// Links the allocator whose option is set below.
use mimalloc as _;

use crate::host::size::MIB;
use crate::host::system;

/// mimalloc's `mi_option_purge_delay`: milliseconds until freed memory goes back to the system.
const PURGE_DELAY: c_int = 15;

// SAFETY: as declared in mimalloc.h; it takes numbers, and ignores options it does not know.
unsafe extern "C" {
    /// Sets an option of the allocator.
    safe fn mi_option_set(option: c_int, value: c_long);
}

/// From now on freed memory stays with the process. A training step frees what the next asks for
/// again, gigabytes of it: pages that went back meanwhile would be cleared by the system, which
/// takes longer than the step's arithmetic.
pub fn keep_freed() {
    mi_option_set(PURGE_DELAY, -1);
}

/// Kept free of the plan: the allocator's own pages, thread stacks, what the estimates miss; and one part in
/// 24 of the budget, for what grows with the photo.
fn reserve(budget: u64) -> u64 {
    64 * MIB + budget / 24
}

/// The bound when `--memory` is not given: half of what the machine, or a container, has free,
/// between 1 and 8 GiB, and never more than a container has.
pub fn default_budget() -> u64 {
    budget(system::available(), group_left(Path::new("/sys/fs/cgroup")))
}

fn budget(machine: Option<u64>, group: Option<u64>) -> u64 {
    let free = machine.into_iter().chain(group).min();
    let half = free.map_or(2 << 30, |free| (free / 2).clamp(1 << 30, 8 << 30));
    half.min(group.unwrap_or(u64::MAX))
}

/// What is left of `budget` for the network once everything that is resident now, and a reserve, is
/// taken off; zero when nothing is left.
pub fn left_of(budget: u64, own_buffers: u64) -> u64 {
    let held = system::resident()
        .unwrap_or(own_buffers + 64 * MIB)
        .max(own_buffers);
    budget.saturating_sub(held + reserve(budget))
}

/// The most bytes that this process ever had in memory, where the system tells.
pub fn peak() -> Option<u64> {
    system::peak()
}

/// Bytes that this process's control group (version 2 or 1, under `root`) may still take, where it
/// has a bound. Pages of files count as free: the system takes them back.
fn group_left(root: &Path) -> Option<u64> {
    let versions = [
        ("memory.max", "memory.stat", "anon "),
        (
            "memory/memory.limit_in_bytes",
            "memory/memory.stat",
            "total_rss ",
        ),
    ];
    let left = |(limit, stat, used): (&str, &str, &str)| -> Option<u64> {
        let limit = std::fs::read_to_string(root.join(limit)).ok()?;
        let limit: u64 = limit.trim().parse().ok()?;
        let stat = std::fs::read_to_string(root.join(stat)).unwrap_or_default();
        let used = stat.lines().find_map(|line| line.strip_prefix(used));
        let used = used.and_then(|bytes| bytes.trim().parse().ok());
        Some(limit.saturating_sub(used.unwrap_or(0)))
    };
    versions.into_iter().filter_map(left).min()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_container_bounds_what_is_taken() {
        let root = tempfile::tempdir().expect("a folder");
        let write =
            |name: &str, text: &str| fs::write(root.path().join(name), text).expect("a file");
        assert_eq!(group_left(root.path()), None);
        write("memory.max", "max\n");
        assert_eq!(group_left(root.path()), None);
        write("memory.max", "1073741824\n");
        write("memory.stat", "anon 73741824\nfile 900000000\n");
        assert_eq!(group_left(root.path()), Some(1_000_000_000));

        fs::create_dir(root.path().join("memory")).expect("a folder");
        write("memory/memory.limit_in_bytes", "600\n");
        write("memory/memory.stat", "rss 1\ntotal_rss 200\n");
        assert_eq!(group_left(root.path()), Some(400));

        assert_eq!(budget(Some(64 << 30), None), 8 << 30);
        assert_eq!(budget(Some(64 << 30), Some(6 << 30)), 3 << 30);
        assert_eq!(budget(Some(64 << 30), Some(512 << 20)), 512 << 20);
        assert_eq!(budget(None, None), 2 << 30);
    }
}

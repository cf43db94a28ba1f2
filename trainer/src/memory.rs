//! How much memory this process holds and how much the machine can give.

use core::ffi::{c_int, c_long};

// Links the allocator whose option is set below.
use mimalloc as _;

use crate::size::MIB;

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

/// The bound when `--memory` is not given: half of what the machine has free, between 1 and 8 GiB.
pub fn default_budget() -> u64 {
    available().map_or(2 << 30, |free| (free / 2).clamp(1 << 30, 8 << 30))
}

/// What is left of `budget` for the network once everything that is resident now, and a reserve, is
/// taken off; zero when nothing is left.
pub fn left_of(budget: u64, own_buffers: u64) -> u64 {
    let held = resident()
        .unwrap_or(own_buffers + 64 * MIB)
        .max(own_buffers);
    budget.saturating_sub(held + reserve(budget))
}

/// The most bytes that this process ever had in memory, where the system tells.
pub fn peak() -> Option<u64> {
    field("/proc/self/status", "VmHWM:")
}

/// Bytes of this process in memory now, where the system tells.
fn resident() -> Option<u64> {
    field("/proc/self/status", "VmRSS:")
}

/// Bytes that the machine could give without swapping, where the system tells.
fn available() -> Option<u64> {
    field("/proc/meminfo", "MemAvailable:")
}

fn field(file: &str, name: &str) -> Option<u64> {
    let text = std::fs::read_to_string(file).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

//! How much memory this process holds and how much the machine can give.

use crate::size::MIB;

/// Kept free of the plan: the allocator's own pages, thread stacks, what the estimates miss.
const RESERVE: u64 = 64 * MIB;

/// The bound when `--memory` is not given: half of what the machine has free, between 1 and 8 GiB.
pub fn default_budget() -> u64 {
    available().map_or(2 << 30, |free| (free / 2).clamp(1 << 30, 8 << 30))
}

/// What is left of `budget` for the network once everything that is resident now, and a reserve
/// of 64 MiB, is taken off; zero when nothing is left.
pub fn left_of(budget: u64, own_buffers: u64) -> u64 {
    let held = resident()
        .unwrap_or(own_buffers + 64 * MIB)
        .max(own_buffers);
    budget.saturating_sub(held + RESERVE)
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

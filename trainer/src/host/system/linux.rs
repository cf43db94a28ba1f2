//! Linux: memory, from the files of `/proc`.

/// The most bytes that this process ever had in memory.
pub fn peak() -> Option<u64> {
    field("/proc/self/status", "VmHWM:")
}

/// Bytes of this process in memory now.
pub fn resident() -> Option<u64> {
    field("/proc/self/status", "VmRSS:")
}

/// Bytes that the machine could give without swapping.
pub fn available() -> Option<u64> {
    field("/proc/meminfo", "MemAvailable:")
}

fn field(file: &str, name: &str) -> Option<u64> {
    let text = std::fs::read_to_string(file).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

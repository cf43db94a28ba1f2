//! A system that nobody has asked about memory yet.

/// The most bytes that this process ever had in memory.
pub fn peak() -> Option<u64> {
    None
}

/// Bytes of this process in memory now.
pub fn resident() -> Option<u64> {
    None
}

/// Bytes that the machine could give without swapping.
pub fn available() -> Option<u64> {
    None
}

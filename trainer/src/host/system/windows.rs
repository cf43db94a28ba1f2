//! Windows: memory, from the system's calls, and what stands for Unix's permissions, devices and signals, which is mostly nothing.

use std::ffi::OsStr;
use std::fs::{File, Metadata, Permissions};
use std::{io, mem};

use windows_sys::Win32::System::ProcessStatus::{K32GetProcessMemoryInfo, PROCESS_MEMORY_COUNTERS};
use windows_sys::Win32::System::SystemInformation::{GlobalMemoryStatusEx, MEMORYSTATUSEX};
use windows_sys::Win32::System::Threading::GetCurrentProcess;

/// The most bytes that this process ever had in memory.
pub fn peak() -> Option<u64> {
    Some(counters()?.PeakWorkingSetSize as u64)
}

/// Bytes of this process in memory now.
pub fn resident() -> Option<u64> {
    Some(counters()?.WorkingSetSize as u64)
}

/// Bytes that the machine could give without swapping.
pub fn available() -> Option<u64> {
    let mut status = MEMORYSTATUSEX {
        dwLength: mem::size_of::<MEMORYSTATUSEX>() as u32,
        ..MEMORYSTATUSEX::default()
    };
    // SAFETY: the call fills in the structure, whose size it is told.
    let done = unsafe { GlobalMemoryStatusEx(&mut status) };
    (done != 0).then_some(status.ullAvailPhys)
}

fn counters() -> Option<PROCESS_MEMORY_COUNTERS> {
    let mut counters = PROCESS_MEMORY_COUNTERS::default();
    let size = mem::size_of_val(&counters) as u32;
    // SAFETY: the call fills in the structure, whose size it is told, for this very process.
    let done = unsafe { K32GetProcessMemoryInfo(GetCurrentProcess(), &mut counters, size) };
    (done != 0).then_some(counters)
}

/// How much of [`super::MAX_NAME`] a file's name takes: units of UTF-16.
pub fn name_length(name: &OsStr) -> usize {
    name.to_string_lossy().encode_utf16().count()
}

/// The permissions of a new file: its folder says.
pub fn readable() -> Option<Permissions> {
    None
}

/// Who may read and write a file is said by its folder.
///
/// # Errors
/// None.
pub fn restrict(_: &File, _: Permissions) -> io::Result<()> {
    Ok(())
}

/// Whether a path is a device of characters: none is met as a file.
pub fn is_character_device(_: &Metadata) -> bool {
    false
}

/// The signals that were ignored at a time: there are none to inherit.
pub struct Ignored;

impl Ignored {
    /// Those that are now.
    pub fn now() -> Self {
        Ignored
    }

    /// Ignores them again.
    pub fn restore(&self) {}
}

//! macOS: memory, from the system's calls.

use core::ffi::{CStr, c_int};
use std::mem;

/// The most bytes that this process ever had in memory.
pub fn peak() -> Option<u64> {
    // SAFETY: all zeros is a valid value of this plain structure.
    let mut usage: libc::rusage = unsafe { mem::zeroed() };
    // SAFETY: the call fills in the structure that it is given.
    let done = unsafe { libc::getrusage(libc::RUSAGE_SELF, &mut usage) };
    // Bytes here, other than elsewhere.
    (done == 0).then_some(usage.ru_maxrss).and_then(to_u64)
}

/// Bytes of this process in memory now.
pub fn resident() -> Option<u64> {
    // SAFETY: all zeros is a valid value of this plain structure.
    let mut task: libc::proc_taskinfo = unsafe { mem::zeroed() };
    let size = c_int::try_from(mem::size_of_val(&task)).ok()?;
    // SAFETY: the call writes at most `size` bytes into the structure, and tells how many.
    let written = unsafe {
        libc::proc_pidinfo(
            libc::getpid(),
            libc::PROC_PIDTASKINFO,
            0,
            (&raw mut task).cast(),
            size,
        )
    };
    (written == size).then_some(task.pti_resident_size)
}

/// Bytes that the machine could give without swapping: what the system itself calls its level of free memory, in percent.
pub fn available() -> Option<u64> {
    let all: u64 = number(c"hw.memsize")?;
    let percent: u32 = number(c"kern.memorystatus_level")?;
    Some(all / 100 * u64::from(percent.min(100)))
}

/// A number that the system knows by name.
fn number<T: Default>(name: &CStr) -> Option<T> {
    let mut value = T::default();
    let mut size = mem::size_of::<T>();
    // SAFETY: the call writes at most `size` bytes into `value`, and every bit pattern of these numbers is one.
    let done = unsafe {
        libc::sysctlbyname(
            name.as_ptr(),
            (&raw mut value).cast(),
            &mut size,
            std::ptr::null_mut(),
            0,
        )
    };
    (done == 0 && size == mem::size_of::<T>()).then_some(value)
}

fn to_u64(number: libc::c_long) -> Option<u64> {
    u64::try_from(number).ok()
}

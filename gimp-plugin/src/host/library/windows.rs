//! The loader of Windows. A handle finds nothing of what its library depends on, so that all that are open are asked.

use std::ffi::{CStr, c_void};
use std::io;
use std::ptr::null_mut;

use windows_sys::Win32::Foundation::HMODULE;
use windows_sys::Win32::System::LibraryLoader::{GetProcAddress, LoadLibraryW};
use windows_sys::Win32::System::ProcessStatus::K32EnumProcessModules;
use windows_sys::Win32::System::Threading::GetCurrentProcess;

/// An open library.
pub type Handle = HMODULE;

/// More libraries than GIMP's plug-ins open.
const MOST: usize = 1024;

/// What a library's first version is called.
pub fn file_name(stem: &str) -> String {
    format!("{stem}-0.dll")
}

/// Opens a library.
///
/// # Errors
/// The system's own words.
pub fn open(name: &str) -> Result<Handle, Option<String>> {
    let wide: Vec<u16> = name.encode_utf16().chain([0]).collect();
    // SAFETY: a string with a zero at its end; the initialisers of GIMP's own libraries may run.
    let handle = unsafe { LoadLibraryW(wide.as_ptr()) };
    match handle.is_null() {
        true => Err(Some(format!("{name}: {}", io::Error::last_os_error()))),
        false => Ok(handle),
    }
}

/// The address of a function, or NULL.
pub fn find(library: Handle, name: &CStr) -> *mut c_void {
    [library]
        .into_iter()
        .chain(open_libraries())
        .find_map(|library| {
            // SAFETY: an open library and a string.
            unsafe { GetProcAddress(library, name.as_ptr().cast()) }
        })
        .map_or(null_mut(), |address| address as *mut c_void)
}

/// All libraries of this process.
fn open_libraries() -> Vec<Handle> {
    let mut handles = vec![null_mut(); MOST];
    let size = (MOST * size_of::<Handle>()) as u32;
    let mut needed = 0;
    // SAFETY: the call fills in at most `size` bytes of the handles.
    let done = unsafe {
        K32EnumProcessModules(GetCurrentProcess(), handles.as_mut_ptr(), size, &mut needed)
    };
    let count = match done {
        0 => 0,
        _ => MOST.min(needed as usize / size_of::<Handle>()),
    };
    handles.truncate(count);
    handles
}

//! The loader of Unix. A handle also finds what its library depends on.

use std::ffi::{CStr, CString, c_void};

/// An open library.
pub type Handle = *mut c_void;

/// What a library's first version is called.
pub fn file_name(stem: &str) -> String {
    if cfg!(target_vendor = "apple") {
        format!("{stem}.0.dylib")
    } else {
        format!("{stem}.so.0")
    }
}

/// Opens a library.
///
/// # Errors
/// The loader's own words, where it has any.
pub fn open(name: &str) -> Result<Handle, Option<String>> {
    let name = CString::new(name).map_err(|_| None)?;
    // SAFETY: the initialisers of GIMP's own libraries may run.
    let handle = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_GLOBAL) };
    if !handle.is_null() {
        return Ok(handle);
    }
    // SAFETY: after a failure it gives a string, or NULL.
    Err(unsafe {
        let reason = libc::dlerror();
        (!reason.is_null()).then(|| CStr::from_ptr(reason).to_string_lossy().into_owned())
    })
}

/// The address of a function, or NULL.
pub fn find(library: Handle, name: &CStr) -> *mut c_void {
    // SAFETY: the handle is open and the name a string.
    unsafe { libc::dlsym(library, name.as_ptr()) }
}

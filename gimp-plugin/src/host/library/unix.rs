//! The loader of Unix. A handle also finds what its library depends on.

use std::ffi::{CStr, CString, c_void};
use std::path::Path;

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
    let path = match cfg!(target_vendor = "apple") {
        true => in_the_bundle(name),
        false => None,
    };
    let name = CString::new(path.unwrap_or_else(|| name.to_owned())).map_err(|_| None)?;
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

/// Where a library lies inside GIMP's application on macOS, whose loader would not look there. GIMP tells its plug-ins where
/// GEGL's operations are: in a folder beside the libraries.
fn in_the_bundle(name: &str) -> Option<String> {
    let operations = std::env::var("GEGL_PATH").ok()?;
    let path = Path::new(&operations).parent()?.join(name);
    let path = path.to_str().filter(|_| path.exists())?;
    Some(path.to_owned())
}

/// The address of a function, or NULL.
pub fn find(library: Handle, name: &CStr) -> *mut c_void {
    // SAFETY: the handle is open and the name a string.
    unsafe { libc::dlsym(library, name.as_ptr()) }
}

//! Shared libraries opened at run time. A handle on libgimp also finds what libgimp depends on: GLib,
//! GEGL, babl.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

use std::ffi::{CStr, c_void};

#[cfg(unix)]
use self::unix as loader;
#[cfg(windows)]
use self::windows as loader;
use crate::job::Error;

/// An open library. It stays open for as long as the process lives.
#[derive(Clone, Copy)]
pub struct Library(loader::Handle);

impl Library {
    /// Opens the first version of a library, such as `libgimp-3.0`, by the name that the system gives to its file.
    ///
    /// # Errors
    /// [`Error::Library`] with the loader's own words.
    pub fn open(stem: &str) -> Result<Self, Error> {
        let name = loader::file_name(stem);
        loader::open(&name).map(Self).map_err(|reason| {
            Error::Library(reason.unwrap_or_else(|| format!("{name} cannot be opened")))
        })
    }

    /// The address of a function.
    ///
    /// # Errors
    /// [`Error::Library`] that names it.
    pub fn find(self, name: &CStr) -> Result<*mut c_void, Error> {
        let address = loader::find(self.0, name);
        if address.is_null() {
            let name = name.to_string_lossy();
            return Err(Error::Library(format!("{name} is missing")));
        }
        Ok(address)
    }
}

/// Declares a table of C functions, found by their own names when it is loaded. `..` after the
/// arguments is C's variable part.
macro_rules! functions {
    (
        $(#[$doc:meta])*
        $table:ident $(<$id:ident>)? {
            $(fn $name:ident($($argument:ty),* $(; $variable:tt)?) $(-> $result:ty)?;)*
        }
    ) => {
        $(#[$doc])*
        pub struct $table $(<$id>)? {
            $(pub $name: unsafe extern "C" fn($($argument),* $(, $variable)?) $(-> $result)?,)*
        }

        impl $(<$id>)? $table $(<$id>)? {
            /// Finds every function.
            ///
            /// # Errors
            /// That names the first one missing.
            #[allow(clippy::missing_transmute_annotations, reason = "the field's own type")]
            pub fn load(library: $crate::host::library::Library) -> Result<Self, $crate::job::Error> {
                Ok(Self {
                    $($name: {
                        let name = const {
                            let name = concat!(stringify!($name), "\0").as_bytes();
                            match std::ffi::CStr::from_bytes_with_nul(name) {
                                Ok(name) => name,
                                Err(_) => panic!("a name without a zero byte"),
                            }
                        };
                        let address = library.find(name)?;
                        // SAFETY: the signature is the one that the library's header declares.
                        unsafe { std::mem::transmute(address) }
                    },)*
                })
            }
        }
    };
}
pub(super) use functions;

//! The GIMP plug-in "Restore (DINO-IR)": one program for GIMP 2.10, 3.0 and 3.2.
//!
//! It is built without GIMP's headers and opens the library of whichever GIMP has started it.
//! [`job`] is what it does, in terms of a [`host`]; `host/gimp2.rs` and `host/gimp3.rs` are the real ones.
// GIMP starts it: no window of a terminal may come up beside it.
#![cfg_attr(windows, windows_subsystem = "windows")]

mod host;
mod job;
mod language;
mod preview;
mod settings;
mod system;
mod trace;
mod weights;

use std::ffi::CString;
use std::process::ExitCode;

/// Large temporaries cost 2.5 times as much with the system's allocator, in page faults.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments = std::env::args_os().map(|argument| {
        // The system's own arguments hold no zero byte.
        CString::new(argument.into_encoded_bytes()).unwrap_or_default()
    });
    match host::main(arguments.collect()) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("dino-ir-restore: {error}");
            ExitCode::FAILURE
        }
    }
}

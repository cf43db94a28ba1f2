//! Codes and messages.

use std::cell::RefCell;
use std::ffi::{CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What a call came to.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// All is well.
    Ok = 0,
    /// A pointer is NULL or misaligned, a structure has a wrong size, or a handle is not open.
    InvalidArgument = 1,
    /// The pixels described form no image, or the two images do not go together.
    InvalidImage = 2,
    /// An option is out of its range.
    InvalidOption = 3,
    /// The work does not fit the memory allowed.
    OutOfMemory = 4,
    /// The weights cannot be read or used.
    Weights = 5,
    /// The device is not there, or computes wrong values.
    Device = 6,
    /// The progress function asked to stop.
    Cancelled = 7,
    /// The restorer is at work in another call; open a second one.
    Busy = 8,
    /// A bug in the library.
    Internal = 9,
}

/// A code with its message.
#[derive(Debug)]
pub struct Failure {
    status: Status,
    message: String,
}

impl Failure {
    /// A failure of that kind.
    pub fn new(status: Status, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
        }
    }
}

impl From<dino_ir::Error> for Failure {
    fn from(error: dino_ir::Error) -> Self {
        use dino_ir::Error;
        let status = match error {
            Error::InvalidImage(_) => Status::InvalidImage,
            Error::InvalidOption(_) => Status::InvalidOption,
            Error::OutOfMemory(_) => Status::OutOfMemory,
            Error::Weights(_) | Error::File { .. } => Status::Weights,
            Error::Device(_) | Error::Golden(_) => Status::Device,
            Error::Cancelled => Status::Cancelled,
            _ => Status::Internal,
        };
        Self::new(status, error.to_string())
    }
}

thread_local! {
    static LAST: RefCell<CString> = RefCell::default();
}

/// The message that this thread was left last.
pub fn last_error() -> *const c_char {
    // While a thread ends its message is gone; an empty one is still not NULL.
    LAST.try_with(|last| last.borrow().as_ptr())
        .unwrap_or(c"".as_ptr())
}

/// Leaves this thread a message.
pub fn leave(message: &str) {
    let message = message.replace('\0', "?");
    let _ = LAST.try_with(|last| {
        *last.borrow_mut() = CString::new(message).unwrap_or_default();
    });
}

/// Runs a call from C: failures and panics leave a message and become a code.
pub fn guarded<T>(call: impl FnOnce() -> Result<T, Failure>) -> Result<T, Status> {
    let failure = match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(failure)) => failure,
        Err(_) => Failure::new(Status::Internal, "internal error: please report this bug"),
    };
    leave(&failure.message);
    Err(failure.status)
}

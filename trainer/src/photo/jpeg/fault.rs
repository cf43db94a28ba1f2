//! What can be wrong with a JPEG, in words for the user.

use anyhow::Error;

/// The file is not as it was written.
pub fn damaged(why: &str) -> Error {
    Error::msg(format!(
        "damaged or cut short; copy it again from where it came ({why})"
    ))
}

/// The file is as it should be, and this program cannot read it.
pub fn unsupported(kind: &str) -> Error {
    Error::msg(format!(
        "{kind} is not supported; save it as an ordinary JPEG or PNG first"
    ))
}

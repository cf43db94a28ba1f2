//! What each system does in its own way: how the name of a file is written in C.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub use unix::path;
#[cfg(windows)]
pub use windows::path;

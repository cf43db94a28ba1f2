//! What each system does in its own way: how much memory there is, who may read a file, which signals are ignored.
//! All systems have the same functions; what a system does not know is `None`.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_vendor = "apple")]
mod macos;
#[cfg(not(any(target_os = "linux", target_vendor = "apple", windows)))]
mod other;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(target_os = "linux")]
pub use linux::{available, peak, resident};
#[cfg(target_vendor = "apple")]
pub use macos::{available, peak, resident};
#[cfg(not(any(target_os = "linux", target_vendor = "apple", windows)))]
pub use other::{available, peak, resident};
#[cfg(unix)]
pub use unix::{Ignored, is_character_device, name_length, readable, restrict};
#[cfg(windows)]
pub use windows::*;

/// What a file's name can hold on all usual file systems, in units of [`name_length`].
pub const MAX_NAME: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_tells_how_much_memory_there_is() {
        // Without the black box the memory might never be asked for.
        let kept = std::hint::black_box(vec![1u8; 64 << 20]);
        let held = resident().expect("bytes in memory");
        assert!(held > kept.len() as u64, "{held}");
        let most = peak().expect("the most bytes in memory");
        let free = available().expect("bytes to be had");
        assert!(most >= 64 << 20 && free > 1 << 20, "{most} {free}");
        drop(std::hint::black_box(kept));
        assert!(held < 1 << 40 && most < 1 << 40 && free < 1 << 50);
    }
}

//! What the user can set, under the names that scripts use.

use std::ffi::CStr;
use std::path::PathBuf;

use dino_ir::device::DeviceChoice;
use dino_ir::{Fault, Removal};

use crate::language::msgid;

/// One value of a setting that is chosen from a list.
#[derive(Clone, Copy, Debug)]
pub struct Choice {
    /// Its name in scripts.
    pub name: &'static CStr,
    /// What the dialog shows, in English.
    pub label: &'static str,
}

const fn choice(name: &'static CStr, label: &'static str) -> Choice {
    Choice { name, label }
}

/// How much is removed can be set for each of these, in the order of [`Fault::ALL`].
pub const FAULTS: [Choice; Fault::ALL.len()] = [
    choice(c"noise", msgid("_Noise")),
    choice(c"blur", msgid("_Blur")),
    choice(c"rain", msgid("R_ain")),
    choice(c"haze", msgid("Ha_ze")),
    choice(c"compression", msgid("Compress_ion")),
];

/// So much of each of [`FAULTS`].
pub fn removal(shares: [f64; FAULTS.len()]) -> Removal {
    let pairs = Fault::ALL.into_iter().zip(shares);
    pairs.fold(Removal::ALL, |removal, (fault, share)| {
        removal.with(fault, share as f32)
    })
}

/// What [`removal`] was made of.
pub fn shares(removal: &Removal) -> [f64; FAULTS.len()] {
    Fault::ALL.map(|fault| f64::from(removal.of(fault)))
}

/// Where the result goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Output {
    /// Into the layer, mask or channel itself.
    #[default]
    Replace,
    /// Into a new layer above it.
    NewLayer,
}

impl Output {
    /// The values in the order of their numbers.
    pub const CHOICES: [Choice; 2] = [
        choice(c"replace", msgid("Replace the layer")),
        choice(c"new-layer", msgid("New layer above it")),
    ];

    /// The value with that number.
    pub fn from_number(number: i32) -> Option<Self> {
        [Self::Replace, Self::NewLayer]
            .get(usize::try_from(number).ok()?)
            .copied()
    }
}

/// What computes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Device {
    /// The best device that works.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// Any GPU, or an error.
    Gpu,
}

impl Device {
    /// The values in the order of their numbers.
    pub const CHOICES: [Choice; 3] = [
        choice(c"auto", msgid("Automatic")),
        choice(c"cpu", msgid("CPU")),
        choice(c"gpu", msgid("GPU")),
    ];

    /// The value with that number.
    pub fn from_number(number: i32) -> Option<Self> {
        [Self::Auto, Self::Cpu, Self::Gpu]
            .get(usize::try_from(number).ok()?)
            .copied()
    }

    /// What to try, in this order.
    pub fn candidates(self) -> &'static [DeviceChoice] {
        match self {
            Self::Auto => &[DeviceChoice::Auto],
            Self::Cpu => &[DeviceChoice::Cpu],
            Self::Gpu => &[DeviceChoice::Cuda(0), DeviceChoice::Wgpu],
        }
    }
}

/// The largest tile that can be set, in pixels.
pub const MAX_TILE: i32 = 8192;

/// All settings of one run.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// 0..=1: from the original to the network's result.
    pub strength: f64,
    /// A weights file; `None`: the embedded weights.
    pub weights: Option<PathBuf>,
    /// Side of a tile in pixels; 0: chosen by the memory.
    pub tile_size: i32,
    /// Where the result goes.
    pub output: Output,
    /// What computes.
    pub device: Device,
    /// How much of each fault is removed, 0..=1.
    pub removal: Removal,
    /// Whether a hidden layer is to tell how far off each pixel may be.
    pub uncertainty: bool,
}

impl Settings {
    /// Whether no bit of the photo changes.
    pub fn changes_nothing(&self) -> bool {
        self.strength == 0.0 || self.removal == Removal::NONE
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            strength: 1.0,
            weights: None,
            tile_size: 0,
            output: Output::default(),
            device: Device::default(),
            removal: Removal::ALL,
            uncertainty: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_choices_go_together() {
        let valid = |from: fn(i32) -> bool| (-1..9).filter(|number| from(*number)).count();
        assert_eq!(
            valid(|n| Output::from_number(n).is_some()),
            Output::CHOICES.len()
        );
        assert_eq!(
            valid(|n| Device::from_number(n).is_some()),
            Device::CHOICES.len()
        );
        assert_eq!(Output::from_number(0), Some(Output::default()));
        assert_eq!(Device::from_number(0), Some(Device::default()));
        let some = Removal::ALL.with(Fault::Rain, 0.3);
        assert_eq!(removal(shares(&some)), some);
    }
}

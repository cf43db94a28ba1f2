//! The settings of the last run, which GIMP 2.10 keeps as bytes for its session.

use std::ffi::c_int;

use super::Functions;
use crate::host::PROCEDURE;
use crate::settings::{self, Device, FAULTS, Output, Settings};
use crate::system;

/// Longest path that is kept: the system's own limit.
const PATH: usize = 4096;

/// [`Settings`] as bytes.
#[repr(C)]
#[derive(Clone)]
struct Stored {
    strength: f64,
    removal: [f64; FAULTS.len()],
    /// As wide as it is so that there is no padding.
    uncertainty: u64,
    tile_size: i32,
    output: i32,
    device: i32,
    path_length: u32,
    path: [u8; PATH],
}

impl Stored {
    fn empty() -> Self {
        Self {
            strength: 0.0,
            removal: [0.0; FAULTS.len()],
            uncertainty: 0,
            tile_size: 0,
            output: 0,
            device: 0,
            path_length: 0,
            path: [0; PATH],
        }
    }
}

impl From<&Settings> for Stored {
    fn from(settings: &Settings) -> Self {
        let mut stored = Self {
            strength: settings.strength,
            removal: settings::shares(&settings.removal),
            uncertainty: u64::from(settings.uncertainty),
            tile_size: settings.tile_size,
            output: settings.output as i32,
            device: settings.device as i32,
            ..Self::empty()
        };
        let path = settings
            .weights
            .as_ref()
            .map(|path| path.as_os_str().as_encoded_bytes());
        if let Some(path) = path.filter(|path| path.len() <= PATH) {
            stored.path[..path.len()].copy_from_slice(path);
            stored.path_length = path.len() as u32;
        }
        stored
    }
}

impl From<&Stored> for Settings {
    fn from(stored: &Stored) -> Self {
        let path = stored.path.get(..stored.path_length as usize);
        let path = path.filter(|path| !path.is_empty());
        Self {
            strength: stored.strength,
            weights: path.map(system::path),
            tile_size: stored.tile_size,
            output: Output::from_number(stored.output).unwrap_or_default(),
            device: Device::from_number(stored.device).unwrap_or_default(),
            removal: settings::removal(stored.removal),
            uncertainty: stored.uncertainty != 0,
        }
    }
}

/// The last settings, or the defaults.
pub fn get(gimp2: &Functions) -> Settings {
    let mut stored = Stored::empty();
    // SAFETY: GIMP copies as many bytes as were stored, which is checked first.
    let found = unsafe {
        let size = (gimp2.gimp_procedural_db_get_data_size)(PROCEDURE.as_ptr());
        size == size_of::<Stored>() as c_int
            && (gimp2.gimp_procedural_db_get_data)(PROCEDURE.as_ptr(), (&raw mut stored).cast())
                != 0
    };
    if found {
        Settings::from(&stored)
    } else {
        Settings::default()
    }
}

/// Keeps settings for the next run.
pub fn set(gimp2: &Functions, settings: &Settings) {
    let mut stored = Stored::from(settings);
    // SAFETY: plain bytes without padding, which GIMP copies.
    unsafe {
        (gimp2.gimp_procedural_db_set_data)(
            PROCEDURE.as_ptr(),
            (&raw mut stored).cast(),
            size_of::<Stored>() as u32,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_survive() {
        for settings in [
            Settings::default(),
            Settings {
                strength: 0.25,
                weights: Some("/a folder/weights.safetensors".into()),
                tile_size: 512,
                output: Output::NewLayer,
                device: Device::Gpu,
                removal: settings::removal([0.0, 1.0, 0.5, 0.25, 0.1]),
                uncertainty: true,
            },
        ] {
            assert_eq!(Settings::from(&Stored::from(&settings)), settings);
        }
    }
}

//! Opening weights on a device.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use crate::device::{DeviceChoice, Opened};
use crate::restore::Restorer;
use crate::weights::{self, Loaded};
use crate::{Error, Result};

/// No weights of ours, nor any published ones that can be imported, come near this.
const MAX_BYTES: u64 = 8 << 30;

/// Where weights come from.
#[derive(Clone, Copy, Debug)]
pub enum WeightsFile<'a> {
    /// The `nano` weights, compiled in (feature `embedded`, on by default).
    #[cfg(feature = "embedded")]
    Embedded,
    /// A file.
    Path(&'a Path),
    /// The bytes of one.
    Bytes(&'a [u8]),
}

impl Restorer<Loaded> {
    /// Opens weights on a device, checked against their golden values there. [`DeviceChoice::Auto`] uses the fastest
    /// device that passes; [`Opened`] tells which, and which were refused.
    ///
    /// # Errors
    /// [`Error::File`] for a path that is no readable file, or one that holds something else than weights;
    /// [`Error::Weights`] for such bytes; [`Error::Device`] and [`Error::Golden`] for the device.
    pub fn open(weights: WeightsFile<'_>, device: DeviceChoice) -> Result<Opened<Self>> {
        let open = |bytes: &[u8]| {
            device.open(|device| Ok(Self::new(weights::load(bytes, device)?, device)))
        };
        match weights {
            #[cfg(feature = "embedded")]
            WeightsFile::Embedded => open(crate::embedded::nano()),
            WeightsFile::Bytes(bytes) => open(bytes),
            WeightsFile::Path(path) => open(&read(path)?).map_err(|error| match error {
                Error::Weights(_) => Error::File {
                    path: path.to_owned(),
                    reason: format!("{error}; take another weights file"),
                },
                error => error,
            }),
        }
    }
}

/// Reads a weights file whole.
fn read(path: &Path) -> Result<Vec<u8>> {
    let failed = |reason: String| Error::File {
        path: path.to_owned(),
        reason,
    };
    let cannot = |error: std::io::Error| failed(format!("cannot be read: {error}"));
    // Asked before it is opened: opening a pipe waits for its writer.
    let meta = fs::metadata(path).map_err(cannot)?;
    if !meta.is_file() {
        return Err(failed(
            "is no file; give a weights file (.safetensors)".to_owned(),
        ));
    }
    if meta.len() > MAX_BYTES {
        return Err(failed(
            "is too large for a weights file; take another one".to_owned(),
        ));
    }
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_BYTES).read_to_end(&mut bytes))
        .map_err(cannot)?;
    Ok(bytes)
}

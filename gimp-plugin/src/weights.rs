//! Opening weights, with errors that name the file.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use dino_ir::device::{DeviceChoice, Opened};
use dino_ir::restore::Restorer;
use dino_ir::weights::Loaded;

/// No weights of ours, nor any published ones that can be imported, come near this.
const MAX_BYTES: u64 = 8 << 30;

/// Why weights could not be opened; one line that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file cannot be read.
    #[error("{}: {reason}", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// Why, and what to do.
        reason: String,
    },
    /// What the file holds cannot be used.
    #[error("{}: {error}; take another weights file", path.display())]
    Weights {
        /// Which one.
        path: PathBuf,
        /// Why.
        error: dino_ir::Error,
    },
    /// Anything else, above all the device.
    #[error(transparent)]
    Core(#[from] dino_ir::Error),
}

/// Opens a weights file, or the embedded weights without a path, on a device, checked against the
/// weights' golden values there.
///
/// # Errors
/// [`OpenError::File`] for a path that is no readable file, [`OpenError::Weights`] for one that holds
/// something else or is damaged, [`OpenError::Core`] for the device.
pub fn open(
    path: Option<&Path>,
    device: DeviceChoice,
) -> Result<Opened<Restorer<Loaded>>, OpenError> {
    let file = path.map(read).transpose()?;
    let bytes = match &file {
        Some(file) => file,
        None => dino_ir::embedded::nano(),
    };
    let opened = device.open(|device| {
        let network = dino_ir::weights::load(bytes, device)?;
        Ok(Restorer::new(network, device))
    });
    match (opened, path) {
        (Ok(opened), _) => Ok(opened),
        (Err(error @ dino_ir::Error::Weights(_)), Some(path)) => Err(OpenError::Weights {
            path: path.to_owned(),
            error,
        }),
        (Err(error), _) => Err(error.into()),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, OpenError> {
    let failed = |reason: String| OpenError::File {
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
    let file = File::open(path).map_err(cannot)?;
    let mut bytes = Vec::new();
    file.take(MAX_BYTES)
        .read_to_end(&mut bytes)
        .map_err(cannot)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaint(path: &Path) -> String {
        let error = open(Some(path), DeviceChoice::Cpu).expect_err("no weights there");
        error.to_string()
    }

    #[test]
    fn what_is_no_weights_file_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let missing = folder.path().join("missing.safetensors");
        let truncated = folder.path().join("truncated.safetensors");
        let other = folder.path().join("other.safetensors");
        let nano = dino_ir::embedded::nano();
        std::fs::write(&truncated, &nano[..nano.len() / 2]).expect("written");
        std::fs::write(&other, b"not weights at all").expect("written");
        for path in [&missing, &truncated, &other, &folder.path().to_owned()] {
            let complaint = complaint(path);
            assert!(
                complaint.starts_with(&path.display().to_string()),
                "{complaint}"
            );
            assert_eq!(complaint.lines().count(), 1, "{complaint}");
        }
    }

    #[test]
    fn the_embedded_weights_open() {
        open(None, DeviceChoice::Cpu).expect("embedded weights");
    }
}

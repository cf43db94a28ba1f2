//! The weights that the settings name.

use std::path::Path;

use dino_ir::device::{DeviceChoice, Opened};
use dino_ir::restore::Restorer;
use dino_ir::weights::Loaded;
use dino_ir::{Result, WeightsFile};

/// Opens a weights file, or the embedded weights without a path, as [`Restorer::open`] does.
///
/// # Errors
/// As there.
pub fn open(path: Option<&Path>, device: DeviceChoice) -> Result<Opened<Restorer<Loaded>>> {
    Restorer::open(
        path.map_or(WeightsFile::Embedded, WeightsFile::Path),
        device,
    )
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

//! Where the training photos are and how often each task is drawn.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Where the training photos are and how they are used: the `[data]` table of a training configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DataConfig {
    /// Photos and pairs in one file that `trainer data pack` made; they come before those of the folders.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pack: Option<PathBuf>,
    /// Folders of clean photos, searched recursively, or lists of them; of folders of pairs, the truths.
    pub clean: Vec<PathBuf>,
    /// Folders of rainy photos with their truth, in any layout of [`find_pairs`](super::find_pairs).
    pub rain_pairs: Vec<PathBuf>,
    /// Folders of hazy photos with their truth.
    pub haze_pairs: Vec<PathBuf>,
    /// Folders of pairs with any other degradation.
    pub pairs: Vec<PathBuf>,
    /// Folders of test sets, in any layout: training photos of their scenes are left out.
    pub exclude: Vec<PathBuf>,
    /// Levels of 255 below which a rainy photo and its truth are taken to be equal: what compression did to each. 0: as they are.
    pub agree: f32,
    /// Photos held out of training, chosen by a hash of their name, the same in every run. Pairs are held out by
    /// scene, at most a tenth of each kind's scenes.
    pub validation: usize,
    /// How often each task is drawn.
    pub tasks: TaskWeights,
    /// Share of the rain and haze samples that come from real pairs, 0..=1, where there are both.
    pub real_share: f32,
    /// Share of the crops of clean photos that are cut twice as large and halved, 0..=1. They are sharper, and have colour
    /// at full resolution even if the photo's file has it at half.
    pub halved_share: f32,
    /// Share of the clean samples that are lightly compressed, as most good photos are, 0..=1.
    pub compressed_share: f32,
    /// Share of the crops without haze that are chosen for looking hazy, 0..=1: of several, the one whose dark channel
    /// (the mean of each pixel's least colour) is brightest. The network must learn that mist-grey walls are not haze.
    pub pale_share: f32,
    /// Share of the samples that are flat in places, 0..=1: behind a frame, or around what was cut out. A noisy photo in a frame
    /// is as noisy as without.
    pub backdrop_share: f32,
    /// Folders of clean photos. A quarter of them is kept for measuring ([`reserved`](super::reserved)), and not used to train
    /// or to validate.
    pub reserve: Vec<PathBuf>,
}

impl Default for DataConfig {
    fn default() -> Self {
        Self {
            pack: None,
            clean: Vec::new(),
            rain_pairs: Vec::new(),
            haze_pairs: Vec::new(),
            pairs: Vec::new(),
            exclude: Vec::new(),
            agree: 0.0,
            validation: 24,
            tasks: TaskWeights::default(),
            real_share: 0.5,
            halved_share: 0.0,
            compressed_share: 0.0,
            pale_share: 0.0,
            backdrop_share: 0.0,
            reserve: Vec::new(),
        }
    }
}

/// Relative frequencies of the tasks. Zero leaves a task out; the sum is free.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TaskWeights {
    /// Gaussian noise.
    pub noise: f32,
    /// Gaussian blur.
    pub blur: f32,
    /// Rain.
    pub rain: f32,
    /// Haze.
    pub haze: f32,
    /// Good photos that must come back unchanged.
    pub clean: f32,
    /// Noise of finished pictures ([`crate::data::degrade::grain`]).
    pub grain: f32,
    /// Noise of cameras ([`crate::data::degrade::camera`]).
    pub camera: f32,
    /// JPEG compression.
    pub jpeg: f32,
    /// Defocus, motion and other blur ([`crate::data::degrade::lens`]).
    pub lens: f32,
    /// Two faults at once.
    pub mixed: f32,
    /// Other pairs; without effect where none are configured.
    pub pairs: f32,
}

impl Default for TaskWeights {
    fn default() -> Self {
        Self {
            noise: 1.0,
            blur: 1.0,
            rain: 1.0,
            haze: 1.0,
            clean: 0.1,
            grain: 0.0,
            camera: 0.0,
            jpeg: 0.0,
            lens: 0.0,
            mixed: 0.0,
            pairs: 1.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_settings_are_refused() {
        assert!(toml::from_str::<DataConfig>("valdation = 3").is_err());
        let config: DataConfig =
            toml::from_str("clean = ['a']\n[tasks]\nhaze = 0.0").expect("valid");
        assert_eq!((config.tasks.haze, config.tasks.noise), (0.0, 1.0));
    }
}

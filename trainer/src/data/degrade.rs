//! Makes the degraded photo that the network is to restore, from a clean one.
//!
//! Every function depends on its arguments and its random generator alone, so that a sample can be made again
//! from its seed. Results are clipped and rounded to 8 bit, as the files of users are.

pub mod blur;
pub mod camera;
pub mod grain;
pub mod haze;
pub mod jpeg;
pub mod lens;
pub mod noise;
pub mod print;
pub mod rain;

use serde::{Deserialize, Serialize};
use std::fmt;

/// What was done to a photo.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Task {
    /// Gaussian noise.
    Noise,
    /// Gaussian blur.
    Blur,
    /// Rain streaks, made or from a real pair.
    Rain,
    /// Haze, made or from a real pair.
    Haze,
    /// Nothing, or light compression: the network must leave a good photo alone.
    Clean,
    /// Noise of finished pictures: weak or strong, with or without colour, in clumps, on grey photos and old prints,
    /// some compressed afterwards.
    Grain,
    /// Noise of cameras, from before demosaicing.
    Camera,
    /// JPEG compression.
    Jpeg,
    /// Defocus, motion, and Gaussian blur of other widths than the paper's.
    Lens,
    /// One of blur, rain and haze, and noise or compression on top.
    Mixed,
    /// A pair of the user's own, of unknown kind.
    Pair,
}

impl Task {
    /// All tasks, in the order of the configuration.
    pub const ALL: [Self; 11] = [
        Self::Noise,
        Self::Blur,
        Self::Rain,
        Self::Haze,
        Self::Clean,
        Self::Grain,
        Self::Camera,
        Self::Jpeg,
        Self::Lens,
        Self::Mixed,
        Self::Pair,
    ];

    /// The lower-case name, as in configurations and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Noise => "noise",
            Self::Blur => "blur",
            Self::Rain => "rain",
            Self::Haze => "haze",
            Self::Clean => "clean",
            Self::Grain => "grain",
            Self::Camera => "camera",
            Self::Jpeg => "jpeg",
            Self::Lens => "lens",
            Self::Mixed => "mixed",
            Self::Pair => "pair",
        }
    }
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

//! Makes the degraded photo that the network is to restore, from a clean one.
//!
//! Every function depends on its arguments and its random generator alone, so that a sample can be made again
//! from its seed. Results are clipped and rounded to 8 bit, as the files of users are.

pub mod blur;
pub mod haze;
pub mod jpeg;
pub mod noise;
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
    /// Nothing: the network must leave a clean photo alone.
    Clean,
    /// A pair of the user's own, of unknown kind.
    Pair,
}

impl Task {
    /// All tasks, in the order of the configuration.
    pub const ALL: [Self; 6] = [
        Self::Noise,
        Self::Blur,
        Self::Rain,
        Self::Haze,
        Self::Clean,
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
            Self::Pair => "pair",
        }
    }
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

//! How much of each fault is removed.

use crate::model::diagnosis::Fault;
use crate::{Error, Result};

/// How much of each fault is removed, from 0 (nothing) to 1 (all that the network finds). The rest stays in the photo.
///
/// ```
/// use dino_ir::{Fault, Removal};
///
/// let only_haze = Removal::only(&[Fault::Haze]);
/// let gentle = Removal { noise: 0.6, ..Removal::ALL };
/// assert_eq!(only_haze.of(Fault::Noise), 0.0);
/// assert_eq!(gentle.of(Fault::Haze), 1.0);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Removal {
    /// Of the noise.
    pub noise: f32,
    /// Of the blur.
    pub blur: f32,
    /// Of the rain.
    pub rain: f32,
    /// Of the haze.
    pub haze: f32,
    /// Of the traces of JPEG compression.
    pub jpeg: f32,
}

impl Default for Removal {
    fn default() -> Self {
        Self::ALL
    }
}

impl Removal {
    /// All of all faults: what the network gives by itself.
    pub const ALL: Self = Self {
        noise: 1.0,
        blur: 1.0,
        rain: 1.0,
        haze: 1.0,
        jpeg: 1.0,
    };

    /// Nothing: the photo stays as it is.
    pub const NONE: Self = Self {
        noise: 0.0,
        blur: 0.0,
        rain: 0.0,
        haze: 0.0,
        jpeg: 0.0,
    };

    /// All of these faults, nothing of the others.
    pub fn only(faults: &[Fault]) -> Self {
        faults
            .iter()
            .fold(Self::NONE, |removal, &fault| removal.with(fault, 1.0))
    }

    /// The same with another share of one fault.
    pub fn with(mut self, fault: Fault, share: f32) -> Self {
        *match fault {
            Fault::Noise => &mut self.noise,
            Fault::Blur => &mut self.blur,
            Fault::Rain => &mut self.rain,
            Fault::Haze => &mut self.haze,
            Fault::Jpeg => &mut self.jpeg,
        } = share;
        self
    }

    /// How much of a fault is removed.
    pub fn of(&self, fault: Fault) -> f32 {
        match fault {
            Fault::Noise => self.noise,
            Fault::Blur => self.blur,
            Fault::Rain => self.rain,
            Fault::Haze => self.haze,
            Fault::Jpeg => self.jpeg,
        }
    }

    /// How much of each fault is kept, in the order of [`Fault::ALL`].
    pub(crate) fn kept(&self) -> [f32; 5] {
        Fault::ALL.map(|fault| 1.0 - self.of(fault))
    }

    /// # Errors
    /// [`Error::InvalidOption`] that names the first share out of 0..=1.
    pub fn validate(&self) -> Result<()> {
        for fault in Fault::ALL {
            let share = self.of(fault);
            if !(0.0..=1.0).contains(&share) {
                let name = fault.name();
                return Err(Error::InvalidOption(format!("{name} {share}: use 0 to 1")));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_from_0_to_1() {
        assert!(Removal::ALL.validate().is_ok() && Removal::NONE.validate().is_ok());
        for bad in [-0.1, 1.1, f32::NAN] {
            for fault in Fault::ALL {
                let removal = Removal::ALL.with(fault, bad);
                let error = removal.validate().expect_err("refused").to_string();
                assert!(error.contains(fault.name()), "{error}");
            }
        }
    }

    #[test]
    fn what_is_not_removed_is_kept() {
        let removal = Removal::only(&[Fault::Haze]).with(Fault::Rain, 0.25);
        assert_eq!(removal.kept(), [1.0, 1.0, 0.75, 0.0, 1.0]);
    }
}

//! A diagnosis as C takes it.

use dino_ir::model::diagnosis::{Diagnosis, Fault};

/// What is wrong with an image. Set `struct_size` before the call; the rest is filled in. A confidence is
/// 0 to 1: the chance that the number before is off by less than 5 (noise), 0.5 (blur), 0.1 (rain),
/// 0.15 (haze), or 15 (jpeg).
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Faults {
    /// sizeof(dino_ir_faults).
    pub struct_size: usize,
    /// Standard deviation of the noise in 8-bit units, 0 to 75.
    pub noise: f32,
    /// How sure that is.
    pub noise_confidence: f32,
    /// Blur: the deviation in pixels of a Gaussian that spreads light as far, 0 to 4.
    pub blur: f32,
    /// How sure that is.
    pub blur_confidence: f32,
    /// Share of pixels that streaks of rain touch, 0 to 1.
    pub rain: f32,
    /// How sure that is.
    pub rain_confidence: f32,
    /// Haze: one minus the mean share of their own light that reaches us from the pixels, 0 to 1.
    pub haze: f32,
    /// How sure that is.
    pub haze_confidence: f32,
    /// Quality of JPEG compression, 1 to 100; 100: none.
    pub jpeg: f32,
    /// How sure that is.
    pub jpeg_confidence: f32,
    /// 1 if there is too little of everything to be called a fault, else 0.
    pub fine: u32,
}

impl From<Diagnosis> for Faults {
    fn from(diagnosis: Diagnosis) -> Self {
        let found = diagnosis.faults;
        let sure = |fault| diagnosis.confidence(fault);
        Self {
            struct_size: size_of::<Self>(),
            noise: found.noise,
            noise_confidence: sure(Fault::Noise),
            blur: found.blur,
            blur_confidence: sure(Fault::Blur),
            rain: found.rain,
            rain_confidence: sure(Fault::Rain),
            haze: found.haze,
            haze_confidence: sure(Fault::Haze),
            jpeg: found.jpeg,
            jpeg_confidence: sure(Fault::Jpeg),
            fine: u32::from(diagnosis.is_fine()),
        }
    }
}

//! Blind photo restoration on the user's own machine: DINO-IR, a Restormer guided by degradation-robust DINOv2
//! features. Noise, rain, haze, blur and compression go, without being told which there is.
//!
//! ```no_run
//! use dino_ir::{DeviceChoice, Options, PixelView, PixelViewMut, Restorer, WeightsFile};
//! use std::ops::ControlFlow;
//!
//! # fn main() -> dino_ir::Result<()> {
//! # let (photo, width, height) = (vec![0_u16; 300], 10, 10);
//! let restorer = Restorer::open(WeightsFile::Embedded, DeviceChoice::Auto)?.loaded;
//! let mut restored = vec![0_u16; photo.len()];
//! restorer.restore_pixels(
//!     PixelView::new(&photo[..], width, height, 3)?, // 16-bit RGB
//!     PixelViewMut::new(&mut restored[..], width, height, 3)?,
//!     &Options::default(),
//!     &mut |_progress| ControlFlow::Continue(()),
//! )?;
//! # Ok(())
//! # }
//! ```
//!
//! - [`Restorer::open`] reads weights ([`WeightsFile`]) on a device ([`DeviceChoice`]).
//! - [`Restorer::restore_pixels`] restores pixels in memory ([`PixelView`], [`PixelViewMut`]), by [`Options`], with
//!   [`Progress`].
//! - [`Restorer::diagnose`] tells what is wrong with a photo ([`Diagnosis`]), without restoring it.
//! - [`Options::removal`] has one fault removed and another kept ([`Removal`]).
//! - [`Options::uncertainty`] tells how far off each restored pixel may be ([`Restorer::restore_with_uncertainty`]).
//! - [`Restorer::restore`] reads from a [`Source`] and writes to a [`Sink`], a band of rows at a time, for photos that are
//!   not to be in memory whole.
//!
//! **Colours.** The network knows sRGB-encoded values, 0..=1. Pixels in linear light ([`Transfer`]) or of another profile
//! ([`ColourProfile`]) are converted on the way in and out.
//!
//! **Memory.** [`Options::memory`] bounds what a restoration takes beside the pixels: larger photos are restored in tiles.
//!
//! **Features.** `embedded` (default): the `nano` weights, 7 MB. `wgpu`: GPUs through Vulkan, Metal or DirectX 12. `cuda`:
//! NVIDIA GPUs. Without the two the CPU computes, on all cores. `icc`: [`ColourProfile`] reads ICC profiles.
//!
//! The modules that the documentation does not list are for the programs of this project and may change at any time.

mod blend;
mod constants;
mod cpu;
#[doc(hidden)]
pub mod device;
#[cfg(feature = "embedded")]
#[doc(hidden)]
pub mod embedded;
mod error;
#[doc(hidden)]
pub mod image;
#[doc(hidden)]
pub mod infer;
#[doc(hidden)]
pub mod loss;
#[doc(hidden)]
pub mod model;
mod open;
#[doc(hidden)]
pub mod ops;
#[doc(hidden)]
pub mod pixels;
#[doc(hidden)]
pub mod restore;
#[doc(hidden)]
pub mod tile;
#[doc(hidden)]
pub mod weights;

pub use device::{DeviceChoice, Opened, Refusal};
pub use error::{Error, Result};
pub use model::diagnosis::{Diagnosis, Fault, Faults};
pub use open::WeightsFile;
pub use pixels::{ColourProfile, PixelView, PixelViewMut, Samples, SamplesMut, Transfer};
pub use restore::{Network, Options, Progress, ProgressCallback, Removal, Restorer, Sink, Source};
pub use tile::{Area, TilePlan};
pub use weights::Loaded;

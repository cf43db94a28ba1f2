//! A network on this module's device.

use std::sync::Arc;

use crate::error::PageError;
use burn::tensor::{Device, TensorData};
use dino_ir::restore::{self, Network, Options, Purpose, Restoration, TileInput, plan};
use dino_ir::weights::golden::Golden;
use dino_ir::weights::{Loaded, Weights};
use js_sys::Function;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::device;
use crate::diagnosis::Finding;
use crate::job::Job;
use crate::photo::Photo;
use crate::removal;

/// What a restoration may take, in bytes, where the page does not say how large the tiles are: enough for a small photo in one
/// piece, and less for a large one, of which the page's canvases hold hundreds of megabytes.
fn memory(pixels: usize) -> u64 {
    if pixels <= 3 << 19 {
        640 << 20
    } else {
        320 << 20
    }
}

/// A network on this module's device.
#[wasm_bindgen]
pub struct Restorer {
    network: Loaded,
    golden: Option<Golden>,
    device: Device,
}

#[wasm_bindgen]
impl Restorer {
    /// Opens the device and puts the weights of a safetensors file on it. To be followed by
    /// [`check`](Self::check).
    ///
    /// # Errors
    /// A message, if there is no such device here or the file cannot be used.
    pub async fn open(weights: Vec<u8>) -> Result<Restorer, PageError> {
        let weights = Weights::from_bytes(&weights)?;
        let config = weights.config()?;
        let device = device::open().await?;
        let model = weights.model(&device)?;
        let mut network = Loaded::new(model, config);
        network.diagnosis = weights.diagnosis()?;
        network.steering = weights.steering(&device)?;
        network.uncertainty = weights.uncertainty(&device)?;
        Ok(Self {
            network,
            golden: weights.header.golden,
            device,
        })
    }

    /// Runs the network once and compares the result with the golden values in the weights file, if it
    /// has any. This is also when the device's shaders are compiled.
    ///
    /// # Errors
    /// A message, if the device computes something else.
    pub async fn check(&self) -> Result<(), PageError> {
        if let Some(golden) = &self.golden {
            let forward = |image| self.network.forward(image);
            golden.check_async(forward, &self.device).await?;
        }
        Ok(())
    }

    /// The golden values as this module computes them; none if the file has none.
    ///
    /// # Errors
    /// A message, if the device fails.
    pub async fn digest(&self) -> Result<Vec<f32>, PageError> {
        match &self.golden {
            Some(golden) => {
                let forward = |image| self.network.forward(image);
                Ok(golden.compute_async(forward, &self.device).await?)
            }
            None => Ok(Vec::new()),
        }
    }

    /// What computes here: `webgpu` or `cpu`.
    #[wasm_bindgen(getter)]
    pub fn backend(&self) -> String {
        device::NAME.to_owned()
    }

    /// Both sides of what the network takes are multiples of this; tiles are extended to it.
    #[wasm_bindgen(getter)]
    pub fn multiple(&self) -> usize {
        self.network.multiple()
    }

    /// Whether the weights can tell what is wrong with a photo.
    #[wasm_bindgen(getter)]
    pub fn diagnoses(&self) -> bool {
        self.network.diagnosis.is_some()
    }

    /// Whether with these weights one fault can be removed and another kept.
    #[wasm_bindgen(getter)]
    pub fn steers(&self) -> bool {
        self.network.steers()
    }

    /// Whether the weights can tell how far off each pixel of a result may be.
    #[wasm_bindgen(getter)]
    pub fn expects(&self) -> bool {
        self.network.has_uncertainty()
    }

    /// What is wrong with a photo, judged by a few windows of it; `read` and `color_space` as in
    /// [`begin`](Self::begin).
    ///
    /// # Errors
    /// A message, if the weights cannot tell, the photo has no pixels or cannot be read, or the device fails.
    pub async fn diagnose(
        &self,
        width: usize,
        height: usize,
        read: Function,
        color_space: Option<String>,
    ) -> Result<Vec<Finding>, PageError> {
        let photo = Photo::new(width, height, read, color_space.as_deref());
        let restorer = restore::Restorer::new(&self.network, &self.device);
        Ok(Finding::all(&restorer.diagnose_async(&photo).await?))
    }

    /// Runs the network on a tile of a [`Job`]: `[3, height, width]` to the same, or to its global statistics for a
    /// tile of the calibration pass (`calibrates`); `statistics` are the photo's global statistics, if there are any; `removal` as
    /// in [`begin`](Self::begin). With `errors` a fourth plane follows, the expected absolute errors.
    ///
    /// # Errors
    /// A message, if the device fails or the sizes do not fit.
    pub async fn run(
        &self,
        height: usize,
        width: usize,
        planar: Vec<f32>,
        calibrates: bool,
        statistics: Option<Vec<f32>>,
        removal: Option<Vec<f32>>,
        errors: bool,
    ) -> Result<Vec<f32>, PageError> {
        let multiple = self.network.multiple();
        let fits = height.is_multiple_of(multiple) && width.is_multiple_of(multiple);
        if planar.is_empty() || !fits || planar.len() != 3 * height * width {
            return Err(PageError::new("the sizes of the tile do not fit"));
        }
        let purpose = match statistics {
            _ if calibrates => Purpose::Calibrate,
            Some(statistics) => Purpose::RestoreWithStats(Arc::new(statistics)),
            None => Purpose::Restore,
        };
        let input = TileInput {
            height,
            width,
            planar,
            purpose,
            removal: removal::from_shares(removal.as_deref())?,
            uncertainty: errors && !calibrates,
        };
        let output = restore::run(&self.network, input, &self.device);
        floats(output.into_data_async().await)
    }

    /// Begins a photo, and looks at all of it. `read` is `(x, y, width, height) -> Uint8ClampedArray` of RGBA, alpha not
    /// multiplied in; `tile` the side of a tile in pixels, if it is not to be as large as the memory allows; `removal` how much of
    /// noise, blur, rain, haze and JPEG is removed, 0 to 1 each, all of everything if it is not said; `color_space` of the canvas that the pixels are of: `srgb`, which it is
    /// if it is not said, or `display-p3`, which the network sees as sRGB; `errors`: whether the rows come with their expected errors.
    ///
    /// # Errors
    /// A message, if the photo has no pixels or cannot be read, the tile is too small, or the weights cannot remove one
    /// fault and keep another.
    pub async fn begin(
        &self,
        width: usize,
        height: usize,
        tile: Option<usize>,
        read: Function,
        removal: Option<Vec<f32>>,
        color_space: Option<String>,
        errors: bool,
    ) -> Result<Job, PageError> {
        let options = Options {
            tile,
            // As small as it is said: the page asks for less when the memory did not do.
            overlap: tile.map(|tile| tile / 8),
            memory: tile.is_none().then(|| memory(width.saturating_mul(height))),
            removal: removal::from_shares(removal.as_deref())?,
            uncertainty: errors,
            ..Options::default()
        };
        let photo = Photo::new(width, height, read, color_space.as_deref());
        let restorer = restore::Restorer::new(&self.network, &self.device);
        let veil = restorer.veil_async(&photo, &options).await?;
        let options = options.knowing(veil.as_ref());
        let plan = plan(&self.network, width, height, &options)?;
        let calibrates = self.network.has_global_statistics();
        let restoration = Restoration::new(plan, &options, calibrates, &photo)?;
        Ok(Job::new(photo, restoration.with_veil(veil)))
    }
}

fn floats<E: std::fmt::Debug>(data: Result<TensorData, E>) -> Result<Vec<f32>, PageError> {
    let failed = |error: &dyn std::fmt::Debug| {
        PageError::new(&format!("the device's result cannot be read: {error:?}"))
    };
    let data = data.map_err(|error| failed(&error))?.convert::<f32>();
    data.try_into_vec().map_err(|error| failed(&error))
}

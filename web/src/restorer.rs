//! What the worker holds: a network on a device, and the restoration of one photo.

use std::cell::RefCell;
use std::rc::Rc;

use burn::Tensor;
use burn::tensor::{Device, TensorData};
use dino_ir::restore::{Area, FinishedRows, Network, Options, Restoration, TileInput, plan};
use dino_ir::weights::golden::Golden;
use dino_ir::weights::{Loaded, Weights};
use js_sys::{Function, Uint8ClampedArray};
use wasm_bindgen::JsError;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::photo::{Photo, Window};
use crate::pixels;

/// A network on this module's device.
#[wasm_bindgen]
pub struct Restorer {
    network: Rc<Loaded>,
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
    pub async fn open(weights: Vec<u8>) -> Result<Restorer, JsError> {
        let weights = Weights::from_bytes(&weights)?;
        let config = weights.config()?;
        let device = open_device().await?;
        let model = weights.model(&device)?;
        Ok(Self {
            network: Rc::new(Loaded { model, config }),
            golden: weights.header.golden,
            device,
        })
    }

    /// Runs the network once and compares the result with the golden values in the weights file, if it
    /// has any. This is also when the device's shaders are compiled.
    ///
    /// # Errors
    /// A message, if the device computes something else.
    pub async fn check(&self) -> Result<(), JsError> {
        if let Some(golden) = &self.golden {
            golden
                .check_async(&self.network.model, &self.device)
                .await?;
        }
        Ok(())
    }

    /// The golden values as this module computes them; none if the file has none.
    ///
    /// # Errors
    /// A message, if the device fails.
    pub async fn digest(&self) -> Result<Vec<f32>, JsError> {
        match &self.golden {
            Some(golden) => Ok(golden
                .compute_async(&self.network.model, &self.device)
                .await?),
            None => Ok(Vec::new()),
        }
    }

    /// Both sides of what the network takes are multiples of this; tiles are extended to it.
    #[wasm_bindgen(getter)]
    pub fn multiple(&self) -> usize {
        self.network.multiple()
    }

    /// The gate's weights of shallow, medium and deep features on an image of RGBA bytes: what the network
    /// believes that it sees. Nothing if the network is not guided. Both sides are
    /// multiples of [`multiple`](Self::multiple).
    ///
    /// # Errors
    /// A message, if the sizes do not fit or the device fails.
    pub async fn gate(
        &self,
        width: usize,
        height: usize,
        rgba: Vec<u8>,
    ) -> Result<Option<Vec<f32>>, JsError> {
        let Some(guidance) = &self.network.model.guidance else {
            return Ok(None);
        };
        let multiple = self.network.multiple();
        let fits = width.is_multiple_of(multiple) && height.is_multiple_of(multiple);
        if rgba.is_empty() || !fits || rgba.len() != width * height * 4 {
            return Err(JsError::new("the sizes of the gate's image do not fit"));
        }
        let planar = (0..3)
            .flat_map(|channel| rgba.iter().skip(channel).step_by(4))
            .map(|&byte| f32::from(byte) / 255.0)
            .collect();
        let image = self.tensor(TileInput {
            height,
            width,
            planar,
        });
        let scores = guidance.fuse(image).scores.into_data_async().await;
        Ok(Some(floats(scores)?))
    }

    /// Begins a photo. `read` is `(x, y, width, height) -> Uint8ClampedArray` of RGBA, alpha not
    /// multiplied in; `tile` the largest side of a tile in pixels.
    ///
    /// # Errors
    /// A message, if the photo has no pixels or the tile is too small.
    pub fn begin(
        &self,
        width: usize,
        height: usize,
        tile: usize,
        read: Function,
    ) -> Result<Job, JsError> {
        let options = Options {
            tile: Some(tile),
            ..Options::default()
        };
        let plan = plan(&*self.network, width, height, &options)?;
        Ok(Job {
            network: Rc::clone(&self.network),
            device: self.device.clone(),
            photo: Photo::new(width, height, read),
            restoration: Restoration::new(plan, &options)?,
        })
    }

    fn tensor(&self, image: TileInput) -> Tensor<4> {
        tensor(image, &self.device)
    }
}

/// The restoration of one photo, a tile at a time. Dropping it cancels.
#[wasm_bindgen]
pub struct Job {
    network: Rc<Loaded>,
    device: Device,
    photo: Photo,
    restoration: Restoration,
}

#[wasm_bindgen]
impl Job {
    /// Tiles done.
    #[wasm_bindgen(getter)]
    pub fn done(&self) -> usize {
        self.restoration.progress().done
    }

    /// Tiles in all.
    #[wasm_bindgen(getter)]
    pub fn total(&self) -> usize {
        self.restoration.progress().total
    }

    /// Restores the next tile. Gives the rows that are finished with it, if any; nothing more at the end.
    ///
    /// # Errors
    /// A message, if the device fails or computes something that is not finite, or if the photo cannot be
    /// read.
    pub async fn step(&mut self) -> Result<Option<Rows>, JsError> {
        let window = Window {
            photo: &self.photo,
            error: RefCell::default(),
        };
        let input = self.restoration.next_tile(&window);
        if let Some(error) = window.error.into_inner() {
            return Err(error);
        }
        let Some(input) = input else {
            return Ok(None);
        };
        let output = self.network.forward(tensor(input, &self.device));
        let output = floats(output.into_data_async().await)?;
        let finished = self.restoration.accept(&output)?;
        let rows = finished
            .map(|rows| Rows::new(&rows, &self.photo))
            .transpose()?;
        if self.restoration.replaced() > 0 {
            return Err(JsError::new("the device's result is not finite"));
        }
        Ok(rows)
    }
}

/// Finished rows of the photo, over its whole width.
#[wasm_bindgen]
pub struct Rows {
    y: usize,
    rgba: Vec<u8>,
}

#[wasm_bindgen]
impl Rows {
    fn new(rows: &FinishedRows<'_>, photo: &Photo) -> Result<Self, JsError> {
        let width = photo.width();
        let mut rgba = photo.rgba(Area {
            x: 0,
            y: rows.y,
            width,
            height: rows.rgb.len() / (3 * width),
        })?;
        pixels::to_bytes(rows.rgb, &mut rgba);
        Ok(Self { y: rows.y, rgba })
    }

    /// The first row.
    #[wasm_bindgen(getter)]
    pub fn y(&self) -> usize {
        self.y
    }

    /// The rows as RGBA with the photo's alpha, as the browser's `ImageData` wants them.
    #[wasm_bindgen(getter)]
    pub fn rgba(&self) -> Uint8ClampedArray {
        Uint8ClampedArray::from(self.rgba.as_slice())
    }
}

fn tensor(image: TileInput, device: &Device) -> Tensor<4> {
    let shape = [1, 3, image.height, image.width];
    Tensor::from_data(TensorData::new(image.planar, shape), device)
}

fn floats<E: std::fmt::Debug>(data: Result<TensorData, E>) -> Result<Vec<f32>, JsError> {
    let failed = |error: &dyn std::fmt::Debug| {
        JsError::new(&format!("the device's result cannot be read: {error:?}"))
    };
    let data = data.map_err(|error| failed(&error))?.convert::<f32>();
    data.try_into_vec().map_err(|error| failed(&error))
}

#[cfg(feature = "webgpu")]
async fn open_device() -> Result<Device, JsError> {
    use burn::tensor::wgpu::WgpuBackend;
    let device = Device::wgpu_options().graphics_api(WgpuBackend::WebGpu);
    device
        .init_async()
        .await
        .map_err(|error| JsError::new(&format!("WebGPU: {error}")))
}

#[cfg(not(feature = "webgpu"))]
#[allow(clippy::unused_async, reason = "as the other module's")]
async fn open_device() -> Result<Device, JsError> {
    Ok(Device::flex())
}

/// Says on the console what went wrong before the module stops: a panic is a bug, or a lost device.
#[wasm_bindgen(start)]
pub fn start() {
    std::panic::set_hook(Box::new(|panic| report(&panic.to_string())));
}

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = console, js_name = error)]
    fn report(message: &str);
}

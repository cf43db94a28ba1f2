//! The restoration of one photo, apart from the network: tiles go out, results come in.

use crate::error::PageError;
use dino_ir::restore::{Area, FinishedRows, Purpose, Restoration, Source, TileInput};
use js_sys::{Float32Array, Uint8Array, Uint8ClampedArray};
use wasm_bindgen::prelude::wasm_bindgen;

use crate::photo::Photo;
use crate::pixels;
use crate::removal;

/// Steps of an expected error in a level of 255.
const ERROR_STEPS: f32 = 8.0;

/// The restoration of one photo. Several tiles may be out at once; results are accepted in order.
/// Dropping it cancels.
#[wasm_bindgen]
pub struct Job {
    photo: Photo,
    restoration: Restoration,
}

impl Job {
    /// The restoration of `photo`.
    pub(crate) fn new(photo: Photo, restoration: Restoration) -> Self {
        Self { photo, restoration }
    }
}

#[wasm_bindgen]
impl Job {
    /// Tiles whose results were accepted.
    #[wasm_bindgen(getter)]
    pub fn done(&self) -> usize {
        self.restoration.progress().done
    }

    /// Tiles in all.
    #[wasm_bindgen(getter)]
    pub fn total(&self) -> usize {
        self.restoration.progress().total
    }

    /// The tiles of the calibration pass, which come first: the others need the results of all of these.
    #[wasm_bindgen(getter)]
    pub fn calibrations(&self) -> usize {
        self.restoration.progress().calibration
    }

    /// A tile, counted from 0 to [`total`](Self::total).
    ///
    /// # Errors
    /// A message, if there are not that many, the calibration pass that it needs is not done, or the photo cannot be read.
    pub fn tile(&self, index: usize) -> Result<Tile, PageError> {
        if index >= self.total() {
            return Err(PageError::new("there are not that many tiles"));
        }
        if index >= self.calibrations() && self.done() < self.calibrations() {
            return Err(PageError::new("the calibration pass is not done yet"));
        }
        Ok(Tile(self.restoration.read_ahead(index, &self.photo)?))
    }

    /// Takes the network's result for the first tile that has none yet. Gives the
    /// rows that are finished with it, if any.
    ///
    /// # Errors
    /// A message, if the result is of another size or not finite, or the photo cannot be read.
    pub fn accept(&mut self, output: &[f32]) -> Result<Option<Rows>, PageError> {
        self.restoration.next_tile(&self.photo)?;
        if !output.iter().all(|value| value.is_finite()) {
            return Err(PageError::new("the device's result is not finite"));
        }
        let finished = self.restoration.accept(output)?;
        finished
            .map(|rows| Rows::new(&rows, &self.photo))
            .transpose()
    }
}

/// What the network is to be run on.
#[wasm_bindgen]
pub struct Tile(TileInput);

#[wasm_bindgen]
impl Tile {
    /// Rows.
    #[wasm_bindgen(getter)]
    pub fn height(&self) -> usize {
        self.0.height
    }

    /// Columns.
    #[wasm_bindgen(getter)]
    pub fn width(&self) -> usize {
        self.0.width
    }

    /// `[3, height, width]`, a copy.
    #[wasm_bindgen(getter)]
    pub fn planar(&self) -> Float32Array {
        Float32Array::from(self.0.planar.as_slice())
    }

    /// Whether the tile is of the calibration pass: it is not restored, its statistics are computed.
    #[wasm_bindgen(getter)]
    pub fn calibrates(&self) -> bool {
        self.0.purpose == Purpose::Calibrate
    }

    /// The global statistics of the photo, a copy; none if the tile has its own.
    #[wasm_bindgen(getter)]
    pub fn statistics(&self) -> Option<Float32Array> {
        match &self.0.purpose {
            Purpose::RestoreWithStats(stats) => Some(Float32Array::from(stats.as_slice())),
            Purpose::Restore | Purpose::Calibrate => None,
        }
    }

    /// Whether the expected errors are wanted too.
    #[wasm_bindgen(getter)]
    pub fn errors(&self) -> bool {
        self.0.uncertainty
    }

    /// How much of each fault is to be removed, as the page said it.
    #[wasm_bindgen(getter)]
    pub fn removal(&self) -> Float32Array {
        Float32Array::from(removal::to_shares(&self.0.removal).as_slice())
    }
}

/// Finished rows of the photo, over its whole width.
#[wasm_bindgen]
pub struct Rows {
    y: usize,
    rgba: Vec<u8>,
    errors: Option<Vec<u8>>,
}

#[wasm_bindgen]
impl Rows {
    /// The first row.
    #[wasm_bindgen(getter)]
    pub fn y(&self) -> usize {
        self.y
    }

    /// The rows as RGBA with the photo's alpha, as the browser's `ImageData` wants them; a copy.
    #[wasm_bindgen(getter)]
    pub fn rgba(&self) -> Uint8ClampedArray {
        Uint8ClampedArray::from(self.rgba.as_slice())
    }

    /// The expected error of each pixel in steps of an eighth of a level of 255, at most 255 steps, a copy; none if they were not
    /// asked for.
    #[wasm_bindgen(getter)]
    pub fn errors(&self) -> Option<Uint8Array> {
        self.errors.as_deref().map(Uint8Array::from)
    }
}

impl Rows {
    fn new(rows: &FinishedRows<'_>, photo: &Photo) -> Result<Self, PageError> {
        let width = photo.width();
        let mut rgba = photo.rgba(Area {
            x: 0,
            y: rows.y,
            width,
            height: rows.rgb.len() / (3 * width),
        })?;
        pixels::to_bytes(&photo.own_colours(rows.rgb), &mut rgba);
        let steps = |error: &f32| (error * 255.0 * ERROR_STEPS).round() as u8;
        Ok(Self {
            y: rows.y,
            rgba,
            errors: rows
                .uncertainty
                .map(|errors| errors.iter().map(steps).collect()),
        })
    }
}

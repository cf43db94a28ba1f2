//! The photo, read from the page a rectangle at a time: it stays in the browser's own memory, in bytes.

use dino_ir::restore::{Area, Source};
use dino_ir::{ColourProfile, Error};
use js_sys::{Function, Uint8ClampedArray};
use wasm_bindgen::{JsCast, JsValue};

use crate::pixels;

/// A photo behind a function `(x, y, width, height) -> Uint8ClampedArray` of RGBA.
pub(crate) struct Photo {
    width: usize,
    height: usize,
    read: Function,
    /// Its colours; `None`: sRGB's.
    profile: Option<ColourProfile>,
}

impl Photo {
    /// `color_space`: that of the canvas that the pixels come from, as browsers name it.
    pub(crate) fn new(
        width: usize,
        height: usize,
        read: Function,
        color_space: Option<&str>,
    ) -> Self {
        Self {
            width,
            height,
            read,
            profile: (color_space == Some("display-p3")).then(ColourProfile::display_p3),
        }
    }

    /// Restored rows in the photo's own colours.
    pub(crate) fn own_colours(&self, rgb: &[f32]) -> Vec<f32> {
        let mut own = rgb.to_vec();
        if let Some(profile) = &self.profile {
            pixels::convert(&mut own, |colour| profile.from_srgb(colour));
        }
        own
    }

    /// `area` as RGBA; an error if the page gives something else than it promised.
    pub(crate) fn rgba(&self, area: Area) -> dino_ir::Result<Vec<u8>> {
        let arguments = js_sys::Array::of4(
            &JsValue::from(area.x as u32),
            &JsValue::from(area.y as u32),
            &JsValue::from(area.width as u32),
            &JsValue::from(area.height as u32),
        );
        let rgba = self
            .read
            .apply(&JsValue::NULL, &arguments)
            .ok()
            .and_then(|pixels| pixels.dyn_into::<Uint8ClampedArray>().ok())
            .map(|pixels| pixels.to_vec())
            .filter(|rgba| rgba.len() == area.width * area.height * 4);
        rgba.ok_or_else(|| Error::Caller("the photo's pixels cannot be read".into()))
    }
}

impl Source for Photo {
    fn width(&self) -> usize {
        self.width
    }

    fn height(&self) -> usize {
        self.height
    }

    fn read(&self, area: Area, rgb: &mut [f32]) -> dino_ir::Result<()> {
        pixels::to_floats(&self.rgba(area)?, rgb);
        if let Some(profile) = &self.profile {
            pixels::convert(rgb, |colour| profile.to_srgb(colour));
        }
        Ok(())
    }
}

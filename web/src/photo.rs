//! The photo, read from the page a rectangle at a time: it stays in the browser's own memory, in bytes.

use std::cell::RefCell;

use dino_ir::restore::{Area, Source};
use js_sys::{Function, Uint8ClampedArray};
use wasm_bindgen::{JsCast, JsValue};

use crate::error::PageError;
use crate::pixels;

/// A photo behind a function `(x, y, width, height) -> Uint8ClampedArray` of RGBA.
pub(crate) struct Photo {
    width: usize,
    height: usize,
    read: Function,
}

impl Photo {
    pub(crate) fn new(width: usize, height: usize, read: Function) -> Self {
        Self {
            width,
            height,
            read,
        }
    }

    pub(crate) fn width(&self) -> usize {
        self.width
    }

    /// `area` as RGBA; an error if the page gives something else than it promised.
    pub(crate) fn rgba(&self, area: Area) -> Result<Vec<u8>, PageError> {
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
        rgba.ok_or_else(|| PageError::new("the photo's pixels cannot be read"))
    }
}

/// A look at the photo; [`Source::read`] cannot fail, so that a failure is kept here.
pub(crate) struct Window<'a> {
    pub(crate) photo: &'a Photo,
    /// What went wrong, if anything did.
    pub(crate) error: RefCell<Option<PageError>>,
}

impl<'a> Window<'a> {
    pub(crate) fn new(photo: &'a Photo) -> Self {
        Self {
            photo,
            error: RefCell::default(),
        }
    }
}

impl Source for Window<'_> {
    fn width(&self) -> usize {
        self.photo.width
    }

    fn height(&self) -> usize {
        self.photo.height
    }

    fn read(&self, area: Area, rgb: &mut [f32]) {
        match self.photo.rgba(area) {
            Ok(rgba) => pixels::to_floats(&rgba, rgb),
            Err(error) => *self.error.borrow_mut() = Some(error),
        }
    }
}

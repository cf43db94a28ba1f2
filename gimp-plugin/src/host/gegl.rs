//! GLib, GEGL and babl: the same functions under every GIMP.

use std::ffi::{CStr, c_char, c_double, c_int, c_void};

use dino_ir::restore::Area;

use super::library::functions;

/// Any object or opaque pointer of the C libraries.
pub type Pointer = *mut c_void;
/// A C string.
pub type Text = *const c_char;

/// GEGL's tiles in this process, in bytes: enough for the rows of a wide photo, and no more.
const CACHE: u64 = 64 << 20;

/// GeglRectangle.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Rectangle {
    x: c_int,
    y: c_int,
    width: c_int,
    height: c_int,
}

impl From<Area> for Rectangle {
    fn from(area: Area) -> Self {
        // Sizes come from GIMP, whose own are such integers.
        Self {
            x: area.x as c_int,
            y: area.y as c_int,
            width: area.width as c_int,
            height: area.height as c_int,
        }
    }
}

impl Rectangle {
    /// The same elsewhere.
    pub fn moved(self, right: c_int, down: c_int) -> Self {
        Self {
            x: self.x + right,
            y: self.y + down,
            ..self
        }
    }
}

functions! {
    /// The functions in use.
    Gegl {
        fn gegl_init(*mut c_int, *mut *mut *mut c_char);
        fn gegl_config() -> Pointer;
        fn gegl_buffer_get(Pointer, *const Rectangle, c_double, Pointer, Pointer, c_int, c_int);
        fn gegl_buffer_set(Pointer, *const Rectangle, c_int, Pointer, *const c_void, c_int);
        fn gegl_buffer_copy(Pointer, *const Rectangle, c_int, Pointer, *const Rectangle);
        fn gegl_buffer_flush(Pointer);
        fn gegl_buffer_get_extent(Pointer) -> *const Rectangle;
        fn babl_format(Text) -> Pointer;
        fn babl_space(Text) -> Pointer;
        fn babl_format_with_space(Text, Pointer) -> Pointer;
        fn babl_format_get_space(Pointer) -> Pointer;
        fn g_object_set(Pointer, Text; ...);
        fn g_object_get(Pointer, Text; ...);
        fn g_object_unref(Pointer);
        fn g_free(Pointer);
    }
}

impl Gegl {
    /// Initialises GEGL, with a cache that does not grow with the photo.
    pub fn start(&self) {
        // SAFETY: NULL for no command line; a property of that name and type.
        unsafe {
            (self.gegl_init)(std::ptr::null_mut(), std::ptr::null_mut());
            let none = std::ptr::null::<c_char>();
            (self.g_object_set)(
                (self.gegl_config)(),
                c"tile-cache-size".as_ptr(),
                CACHE,
                none,
            );
        }
    }
}

/// A GeglBuffer, released when it goes.
pub struct Buffer<'a> {
    gegl: &'a Gegl,
    buffer: Pointer,
}

impl<'a> Buffer<'a> {
    /// Takes over a reference; `None` for NULL.
    ///
    /// # Safety
    /// `buffer` is NULL or a GeglBuffer whose reference is the caller's to give.
    pub unsafe fn new(gegl: &'a Gegl, buffer: Pointer) -> Option<Self> {
        (!buffer.is_null()).then_some(Self { gegl, buffer })
    }

    /// Columns and rows.
    pub fn size(&self) -> (usize, usize) {
        // SAFETY: a live buffer has an extent.
        let extent = unsafe { *(self.gegl.gegl_buffer_get_extent)(self.buffer) };
        let count = |length: c_int| usize::try_from(length).unwrap_or(0);
        (count(extent.width), count(extent.height))
    }

    /// Reads samples of a babl format with `channels` floats; 0 beyond the border.
    pub fn get(
        &self,
        area: impl Into<Rectangle>,
        format: Pointer,
        channels: usize,
        samples: &mut [f32],
    ) {
        let area = area.into();
        let pixels = i64::from(area.width) * i64::from(area.height);
        assert_eq!(samples.len() as i64, pixels * channels as i64);
        // SAFETY: room for the whole area; 0: rows without gaps, and nothing beyond the border.
        unsafe {
            let to = samples.as_mut_ptr().cast();
            (self.gegl.gegl_buffer_get)(self.buffer, &area, 1.0, format, to, 0, 0);
        }
    }

    /// Writes samples of a babl format with `channels` floats.
    pub fn set(&mut self, area: Area, format: Pointer, channels: usize, samples: &[f32]) {
        assert_eq!(samples.len(), area.width * area.height * channels);
        // SAFETY: samples for the whole area; 0: level of detail, rows without gaps.
        unsafe {
            let from = samples.as_ptr().cast();
            (self.gegl.gegl_buffer_set)(self.buffer, &area.into(), 0, format, from, 0);
        }
    }

    /// Copies an area from another buffer of the same size.
    pub fn copy_from(&mut self, from: &Buffer<'_>, area: Area) {
        let area = area.into();
        // SAFETY: two live buffers.
        unsafe {
            (self.gegl.gegl_buffer_copy)(from.buffer, &area, 0, self.buffer, &area);
        }
    }

    /// Sends what was written to where the buffer lives.
    pub fn flush(&mut self) {
        // SAFETY: a live buffer.
        unsafe { (self.gegl.gegl_buffer_flush)(self.buffer) }
    }
}

impl Drop for Buffer<'_> {
    fn drop(&mut self) {
        // SAFETY: the reference is ours.
        unsafe { (self.gegl.g_object_unref)(self.buffer) }
    }
}

/// A string of GLib's, copied and freed.
///
/// # Safety
/// `text` is NULL or a string from `g_malloc` that is the caller's to free.
pub unsafe fn take_text(gegl: &Gegl, text: *mut c_char) -> Option<std::ffi::CString> {
    if text.is_null() {
        return None;
    }
    // SAFETY: a string, which nobody uses after this.
    unsafe {
        let copy = CStr::from_ptr(text).to_owned();
        (gegl.g_free)(text.cast());
        Some(copy)
    }
}

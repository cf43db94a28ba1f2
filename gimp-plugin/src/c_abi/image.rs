//! Pixels as C lays them out, read and written in place.

use std::ffi::c_void;
use std::slice;

use dino_ir::pixels::{PixelFormat, SampleType};
use dino_ir::{Area, ColourProfile, Sink, Source, Transfer};

use super::failure::{Failure, Status};
use super::options::check_struct;

/// How a sample is stored, in the machine's own byte order. Values are sRGB-encoded,
/// unless dino_ir_set_profile says otherwise.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sample {
    /// uint8_t, 0 to 255.
    U8 = 0,
    /// uint16_t, 0 to 65535.
    U16 = 1,
    /// float, nominally 0 to 1; results are not clamped.
    F32 = 2,
}

/// Pixels in memory: rows from the top, samples of a pixel side by side. A crop is a pointer to its
/// first pixel with the stride of the whole. Rows and samples need no alignment. Alpha is straight
/// (unassociated): colours are not multiplied with it. Where it is 0, or less, the pixel is hidden: its
/// colours say nothing, and are kept as they are.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Image {
    /// sizeof(dino_ir_image).
    pub struct_size: usize,
    /// The top left pixel. The input's pixels are only read.
    pub data: *mut c_void,
    /// Bytes from a row to the next, at least width * channels * bytes of a sample.
    pub stride: usize,
    /// Columns, at least 1.
    pub width: u32,
    /// Rows, at least 1.
    pub height: u32,
    /// 1: grey, 2: grey and alpha, 3: RGB, 4: RGB and alpha.
    pub channels: u32,
    /// A dino_ir_sample.
    pub sample: u32,
}

/// An [`Image`] whose layout was checked.
#[derive(Clone, Copy)]
struct View<'a> {
    data: *mut u8,
    stride: usize,
    width: usize,
    height: usize,
    format: PixelFormat<'a>,
}

impl<'a> View<'a> {
    /// # Safety
    /// `image` is NULL or points to such a structure, whose `data` is NULL or as it says.
    unsafe fn new(
        image: *const Image,
        name: &str,
        profile: Option<&'a ColourProfile>,
    ) -> Result<Self, Failure> {
        // SAFETY: as the caller promises; the rest is read only once the size is right.
        let image = unsafe {
            check_struct(image, name)?;
            *image
        };
        let invalid = |what: String| {
            Err(Failure::new(
                Status::InvalidImage,
                format!("{name}: {what}"),
            ))
        };
        if image.data.is_null() {
            return Err(Failure::new(
                Status::InvalidArgument,
                format!("{name}.data is NULL"),
            ));
        }
        if image.width == 0 || image.height == 0 {
            return invalid(format!("{}x{} has no pixels", image.width, image.height));
        }
        let sample = match image.sample {
            sample if sample == Sample::U8 as u32 => SampleType::U8,
            sample if sample == Sample::U16 as u32 => SampleType::U16,
            sample if sample == Sample::F32 as u32 => SampleType::F32,
            other => return invalid(format!("sample {other}: use a dino_ir_sample")),
        };
        let Ok(format) = PixelFormat::new(image.channels as usize, sample, Transfer::Srgb) else {
            return invalid(format!("{} channels: use 1 to 4", image.channels));
        };
        let format = match profile {
            Some(profile) => format.with_profile(profile)?,
            None => format,
        };
        let view = Self {
            data: image.data.cast(),
            stride: image.stride,
            width: image.width as usize,
            height: image.height as usize,
            format,
        };
        let Some(row) = view.width.checked_mul(view.format.bytes()) else {
            return invalid("a row is too large for this machine".to_owned());
        };
        if view.stride < row {
            return invalid(format!(
                "stride {} is less than a row's {row} bytes",
                view.stride
            ));
        }
        let end = (view.height - 1)
            .checked_mul(view.stride)
            .and_then(|bytes| bytes.checked_add(row))
            .filter(|bytes| isize::try_from(*bytes).is_ok())
            .and_then(|bytes| view.data.addr().checked_add(bytes));
        if end.is_none() {
            return invalid(format!(
                "{} rows with a stride of {} do not fit into memory",
                view.height, view.stride
            ));
        }
        Ok(view)
    }

    /// Bytes of a row, without what the stride adds.
    fn row_bytes(&self) -> usize {
        self.width * self.format.bytes()
    }

    /// The addresses from the first byte to one past the last.
    fn addresses(&self) -> (usize, usize) {
        let start = self.data.addr();
        (
            start,
            start + (self.height - 1) * self.stride + self.row_bytes(),
        )
    }

    fn overlaps(&self, other: &View<'_>) -> bool {
        let (a, b) = (self.addresses(), other.addresses());
        a.0 < b.1 && b.0 < a.1
    }

    fn row(&self, y: usize) -> &[u8] {
        assert!(y < self.height, "a row of the image");
        // SAFETY: inside the pixels, whose layout was checked; only read while this borrow lives.
        unsafe { slice::from_raw_parts(self.data.add(y * self.stride), self.row_bytes()) }
    }

    fn row_mut(&mut self, y: usize) -> &mut [u8] {
        assert!(y < self.height, "a row of the image");
        // SAFETY: as in `row`; the output shares no memory with the input.
        unsafe { slice::from_raw_parts_mut(self.data.add(y * self.stride), self.row_bytes()) }
    }
}

/// An input and an output that go together, and perhaps a map of the expected errors.
pub struct Pair<'a> {
    from: View<'a>,
    to: View<'a>,
    map: Option<View<'a>>,
}

impl<'a> Pair<'a> {
    /// # Safety
    /// Both are NULL or point to such structures, whose `data` are NULL or as they say, for as long as
    /// the pair lives.
    pub unsafe fn new(
        from: *const Image,
        to: *const Image,
        profile: Option<&'a ColourProfile>,
    ) -> Result<Self, Failure> {
        // SAFETY: as the caller promises.
        let (from, to) = unsafe {
            (
                View::new(from, "in", profile)?,
                View::new(to, "out", profile)?,
            )
        };
        let invalid = |what: String| Err(Failure::new(Status::InvalidImage, what));
        let size = |view: &View<'_>| (view.width, view.height, view.format.channels());
        if size(&from) != size(&to) {
            let (a, b) = (size(&from), size(&to));
            return invalid(format!(
                "in is {}x{} with {} channels, out {}x{} with {}: they must be equal",
                a.0, a.1, a.2, b.0, b.1, b.2
            ));
        }
        if from.overlaps(&to) {
            return invalid("in and out share memory; give the result a buffer of its own".into());
        }
        Ok(Self {
            from,
            to,
            map: None,
        })
    }

    /// The same with a map.
    ///
    /// # Safety
    /// `map` is as the images are.
    pub unsafe fn with_map(self, map: *const Image) -> Result<Self, Failure> {
        // SAFETY: as the caller promises. Errors have no colours.
        let map = unsafe { View::new(map, "map", None)? };
        let invalid = |what: String| Err(Failure::new(Status::InvalidImage, what));
        let (width, height) = (self.from.width, self.from.height);
        if (map.width, map.height, map.format.channels()) != (width, height, 1) {
            return invalid(format!(
                "map is {}x{} with {} channels: use {width}x{height}, as in, with 1",
                map.width,
                map.height,
                map.format.channels()
            ));
        }
        if map.overlaps(&self.from) || map.overlaps(&self.to) {
            return invalid("map shares memory with in or out; give it a buffer of its own".into());
        }
        Ok(Self {
            map: Some(map),
            ..self
        })
    }

    /// Whether there is a map.
    pub fn has_map(&self) -> bool {
        self.map.is_some()
    }

    /// Whether both store samples alike.
    pub fn same_samples(&self) -> bool {
        self.from.format == self.to.format
    }

    /// Copies every pixel's bytes. Samples must be stored alike.
    pub fn copy(&mut self) {
        for y in 0..self.from.height {
            self.to.row_mut(y).copy_from_slice(self.from.row(y));
        }
    }

    /// What the restorer reads, and what it writes to.
    pub fn ends(&mut self) -> (impl Source + '_, impl Sink + '_) {
        let Self { from, to, map } = *self;
        (Input { view: from }, Output { from, to, map })
    }
}

/// An input alone.
pub struct Input<'a> {
    view: View<'a>,
}

impl<'a> Input<'a> {
    /// # Safety
    /// `image` is NULL or points to such a structure, whose `data` is NULL or as it says, for as long as this lives.
    pub unsafe fn new(
        image: *const Image,
        name: &str,
        profile: Option<&'a ColourProfile>,
    ) -> Result<Self, Failure> {
        // SAFETY: as the caller promises.
        let view = unsafe { View::new(image, name, profile)? };
        Ok(Self { view })
    }
}

impl Source for Input<'_> {
    fn width(&self) -> usize {
        self.view.width
    }

    fn height(&self) -> usize {
        self.view.height
    }

    fn read(&self, area: Area, rgb: &mut [f32]) -> dino_ir::Result<()> {
        let pixel = self.view.format.bytes();
        for (rgb, y) in rgb.chunks_exact_mut(area.width * 3).zip(area.y..) {
            let pixels = &self.view.row(y)[area.x * pixel..][..area.width * pixel];
            self.view.format.read(pixels, rgb);
        }
        Ok(())
    }
}

/// Alpha, and all of the pixels that it hides, are the input's.
struct Output<'a> {
    from: View<'a>,
    to: View<'a>,
    map: Option<View<'a>>,
}

impl Sink for Output<'_> {
    fn write_rows(&mut self, y: usize, rows: &[f32]) -> dino_ir::Result<()> {
        let to = self.to.format;
        for (rgb, y) in rows.chunks_exact(self.from.width * 3).zip(y..) {
            let after = self.to.row_mut(y);
            self.from.format.write(rgb, self.from.row(y), after, &to);
        }
        Ok(())
    }

    fn write_uncertainty(&mut self, y: usize, errors: &[f32]) -> dino_ir::Result<()> {
        let (from, Some(map)) = (self.from, &mut self.map) else {
            return Ok(());
        };
        let format = map.format;
        let blank = vec![0; map.row_bytes()];
        for (errors, y) in errors.chunks_exact(from.width).zip(y..) {
            let pixels = from.row(y).chunks_exact(from.format.bytes());
            // Nobody sees what is off where alpha hides the pixel.
            let shown = |(pixel, error): (&[u8], &f32)| match from.format.hides(pixel) {
                true => [0.0; 3],
                false => [*error; 3],
            };
            let grey: Vec<f32> = pixels.zip(errors).flat_map(shown).collect();
            format.write(&grey, &blank, map.row_mut(y), &format);
        }
        Ok(())
    }
}

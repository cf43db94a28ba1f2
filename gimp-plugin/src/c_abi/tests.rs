//! The functions as C calls them; `tests/hostile.c` calls them from C.

mod calls;
mod faults;
mod pixels;
mod profiles;
mod uncertainty;

use std::ptr::{null, null_mut};

use super::image::Sample;
use super::*;

fn message() -> String {
    // SAFETY: never NULL, and no call fails meanwhile.
    let text = unsafe { CStr::from_ptr(dino_ir_last_error()) };
    text.to_string_lossy().into_owned()
}

fn open() -> *mut Handle {
    // SAFETY: NULL and a string.
    let restorer = unsafe { dino_ir_open(null(), c"cpu".as_ptr()) };
    assert!(!restorer.is_null(), "{}", message());
    restorer
}

fn options(strength: f32) -> Options {
    Options {
        struct_size: size_of::<Options>(),
        memory: 0,
        strength,
        tile: 0,
        overlap: 0,
        self_ensemble: 0,
    }
}

/// A picture in memory, rows `gap` bytes apart.
struct Picture {
    bytes: Vec<u8>,
    image: Image,
}

const WIDTH: usize = 24;
const HEIGHT: usize = 17;

fn picture(channels: usize, sample: Sample, gap: usize) -> Picture {
    let size = match sample {
        Sample::U8 => 1,
        Sample::U16 => 2,
        Sample::F32 => 4,
    };
    let stride = WIDTH * channels * size + gap;
    let mut bytes = vec![0xA5; stride * HEIGHT];
    for y in 0..HEIGHT {
        for at in 0..WIDTH * channels {
            // Each value is one of an 8-bit picture, so that every type holds it.
            let value = ((y * 31 + at * 7 + y * at) % 256) as u8;
            let to = &mut bytes[y * stride + at * size..][..size];
            match sample {
                Sample::U8 => to[0] = value,
                Sample::U16 => to.copy_from_slice(&(u16::from(value) * 257).to_ne_bytes()),
                Sample::F32 => to.copy_from_slice(&(f32::from(value) / 255.0).to_ne_bytes()),
            }
        }
    }
    let image = Image {
        struct_size: size_of::<Image>(),
        data: bytes.as_mut_ptr().cast(),
        stride,
        width: WIDTH as u32,
        height: HEIGHT as u32,
        channels: channels as u32,
        sample: sample as u32,
    };
    Picture { bytes, image }
}

impl Picture {
    /// Converts floats in red, green and blue, rows without gaps.
    fn convert(&mut self, convert: impl Fn([f32; 3]) -> [f32; 3]) {
        for pixel in self.bytes.chunks_exact_mut(12) {
            let value =
                |at: usize| f32::from_ne_bytes([0, 1, 2, 3].map(|byte| pixel[at * 4 + byte]));
            let colour = convert([value(0), value(1), value(2)]);
            for (to, value) in pixel.chunks_exact_mut(4).zip(colour) {
                to.copy_from_slice(&value.to_ne_bytes());
            }
        }
    }

    /// The samples as 0..=1, rows without gaps.
    fn values(&self) -> Vec<f32> {
        let Image {
            stride, channels, ..
        } = self.image;
        let rows = self.bytes.chunks_exact(stride);
        let row = |row: &[u8]| -> Vec<f32> {
            let samples = WIDTH * channels as usize;
            match self.image.sample {
                0 => row[..samples]
                    .iter()
                    .map(|v| f32::from(*v) / 255.0)
                    .collect(),
                1 => row[..samples * 2]
                    .chunks_exact(2)
                    .map(|v| f32::from(u16::from_ne_bytes([v[0], v[1]])) / 65535.0)
                    .collect(),
                _ => row[..samples * 4]
                    .chunks_exact(4)
                    .map(|v| f32::from_ne_bytes([v[0], v[1], v[2], v[3]]))
                    .collect(),
            }
        };
        rows.flat_map(row).collect()
    }

    /// Sets a sample of every type in a picture without gaps.
    fn set(&mut self, at: usize, value: u8) {
        match self.image.sample {
            0 => self.bytes[at] = value,
            1 => self.bytes[2 * at..][..2].copy_from_slice(&(u16::from(value) * 257).to_ne_bytes()),
            _ => {
                self.bytes[4 * at..][..4].copy_from_slice(&(f32::from(value) / 255.0).to_ne_bytes())
            }
        }
    }
}

fn restore(restorer: *mut Handle, from: &Picture, to: &mut Picture, options: &Options) -> c_int {
    // SAFETY: pictures and options made here.
    unsafe {
        dino_ir_restore(
            restorer,
            &from.image,
            &mut to.image,
            options,
            None,
            null_mut(),
        )
    }
}

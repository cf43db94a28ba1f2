//! Properties of a whole restoration, with networks whose result is known.

mod ends;
mod frame;
pub(super) mod global;
mod strength;
mod tiles;
mod veil;

use std::cell::{Cell, RefCell};
use std::ops::ControlFlow;

use burn::Tensor;
use burn::tensor::{Device, TensorData};
use rand::{Rng, SeedableRng, rngs::StdRng};

use super::*;
use crate::image::Image;
use crate::{Error, Result};

const SIZES: [(usize, usize); 6] = [(1, 1), (1, 7), (13, 1), (97, 131), (300, 200), (64, 64)];

/// A network that is a function of one plane of (height, width), and counts its runs.
struct Planes<F> {
    function: F,
    least_tile: usize,
    runs: Cell<usize>,
}

impl<F: Fn(usize, usize, &[f32]) -> Vec<f32>> Planes<F> {
    fn restorer(function: F) -> Restorer<Self> {
        Restorer::new(
            Self {
                function,
                least_tile: 1,
                runs: Cell::new(0),
            },
            &Device::flex(),
        )
    }
}

impl<F: Fn(usize, usize, &[f32]) -> Vec<f32>> Network for Planes<F> {
    fn multiple(&self) -> usize {
        8
    }

    fn least_tile(&self) -> usize {
        self.least_tile
    }

    fn activation_bytes(&self, height: usize, width: usize) -> u64 {
        (height * width * 100) as u64
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.runs.set(self.runs.get() + 1);
        let [batch, channels, height, width] = x.dims();
        assert!(height.is_multiple_of(8) && width.is_multiple_of(8));
        let device = x.device();
        let data = x.into_data();
        let planes = data
            .as_slice::<f32>()
            .expect("f32")
            .chunks_exact(height * width);
        let result: Vec<_> = planes
            .flat_map(|plane| (self.function)(height, width, plane))
            .collect();
        Tensor::from_data(
            TensorData::new(result, [batch, channels, height, width]),
            &device,
        )
    }
}

fn identity(_: usize, _: usize, plane: &[f32]) -> Vec<f32> {
    plane.to_vec()
}

/// The mean of 5x5 pixels, zeros beyond the border as in a convolution.
fn blur(height: usize, width: usize, plane: &[f32]) -> Vec<f32> {
    let at = |y: usize, x: usize| match (y.checked_sub(2), x.checked_sub(2)) {
        (Some(y), Some(x)) if y < height && x < width => plane[y * width + x],
        _ => 0.0,
    };
    let mean =
        |y: usize, x: usize| (0..25).map(|tap| at(y + tap / 5, x + tap % 5)).sum::<f32>() / 25.0;
    (0..height * width)
        .map(|pixel| mean(pixel / width, pixel % width))
        .collect()
}

fn random_image(width: usize, height: usize) -> Image {
    let mut random = StdRng::seed_from_u64((width * 1000 + height) as u64);
    let pixels = (0..width * height * 3)
        .map(|_| random.random::<f32>())
        .collect();
    Image::new(width, height, pixels).expect("a good image")
}

fn tiled(tile: usize, overlap: usize) -> Options {
    Options {
        tile: Some(tile),
        overlap: Some(overlap),
        ..Options::default()
    }
}

fn untiled() -> Options {
    Options {
        memory: Some(u64::MAX),
        ..Options::default()
    }
}

fn difference(a: &Image, b: &Image) -> f32 {
    assert_eq!((a.width(), a.height()), (b.width(), b.height()));
    a.pixels()
        .iter()
        .zip(b.pixels())
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max)
}

fn restore<N: Network>(restorer: &Restorer<N>, image: &Image, options: &Options) -> Image {
    restorer.restore_image(image, options).expect("restored")
}

/// Checks that rows come in order, each once, and notes how often.
struct StrictSink {
    width: usize,
    next: usize,
    writes: usize,
}

impl Sink for StrictSink {
    fn write_rows(&mut self, y: usize, rows: &[f32]) -> Result<()> {
        assert_eq!(y, self.next);
        assert!(!rows.is_empty() && rows.len().is_multiple_of(self.width * 3));
        self.next += rows.len() / (self.width * 3);
        self.writes += 1;
        Ok(())
    }
}

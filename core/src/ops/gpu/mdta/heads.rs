//! Where the heads of attention between channels lie.

use burn_cubecl::tensor::CubeTensor;

use super::super::launch::{Layout, Size3, dims};
use super::super::row_sums::Sums;

/// How the channels of an image and the pixels of a channel lie in q, k and v.
pub(super) struct Heads {
    pub(super) images: usize,
    pub(super) heads: usize,
    /// Channels of a head.
    pub(super) side: usize,
    pub(super) pixels: usize,
}

impl Heads {
    pub(super) fn new(qkv: &CubeTensor, heads: usize) -> Self {
        let [images, channels, height, width] = dims(qkv);
        Self {
            images,
            heads,
            side: channels / 3 / heads,
            pixels: height * width,
        }
    }

    pub(super) fn channels(&self) -> usize {
        self.heads * self.side
    }

    /// q, k or v (0, 1, 2).
    pub(super) fn part(&self, index: usize) -> Layout {
        Layout {
            start: index * self.channels() * self.pixels,
            row: self.pixels,
            image: 3 * self.channels() * self.pixels,
            head: self.side * self.pixels,
        }
    }

    /// The output.
    pub(super) fn output(&self) -> Layout {
        Layout {
            start: 0,
            row: self.pixels,
            image: self.channels() * self.pixels,
            head: self.side * self.pixels,
        }
    }

    /// Products of maps with channels.
    pub(super) fn size(&self) -> Size3 {
        Size3 {
            images: self.images,
            heads: self.heads,
            rows: self.side,
            inner: self.side,
            columns: self.pixels,
        }
    }

    /// Products of channels with channels.
    pub(super) fn channel_products(&self) -> Sums {
        Sums {
            images: self.images,
            heads: self.heads,
            rows: self.side,
            columns: self.side,
            pixels: self.pixels,
            over_images: false,
        }
    }

    /// The map, or what it is made of.
    pub(super) fn map(&self) -> Layout {
        Layout {
            start: 0,
            row: self.side,
            image: self.heads * self.side * self.side,
            head: self.side * self.side,
        }
    }
    /// Products of matrices of all channels, one for each image, with all channels.
    pub(super) fn whole_size(&self) -> Size3 {
        Size3 {
            images: self.images,
            heads: 1,
            rows: self.channels(),
            inner: self.channels(),
            columns: self.pixels,
        }
    }

    /// A matrix of all channels for each image.
    pub(super) fn whole(&self) -> Layout {
        Layout::matrices(self.channels(), self.channels())
    }
}

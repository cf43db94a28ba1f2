//! Buffers that are used again: the page faults of fresh ones would take a large part of the time.

use core::marker::PhantomData;
use core::mem;
use std::sync::{Mutex, PoisonError};

use super::output::Shared;
use super::rows::Rows;
use super::simd::MAX_LANES;

/// Buffers that wait for their next use.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    free: Mutex<Vec<Vec<f32>>>,
}

impl Pool {
    /// A buffer of at least `len` floats, holding whatever its last user left. When no kept one is
    /// large enough, the largest gives way to it: a pool has as many buffers as were ever in use
    /// together, and comes to rest when the same sizes are asked for again.
    pub(crate) fn take(&self, len: usize) -> Buffer<'_> {
        // Vectors are read whole where a row ends.
        let len = len + MAX_LANES;
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let best = (0..free.len())
            .filter(|&i| free[i].len() >= len)
            .min_by_key(|&i| free[i].len());
        let mut data = match best {
            Some(i) => free.swap_remove(i),
            None => {
                if let Some(largest) = (0..free.len()).max_by_key(|&i| free[i].len()) {
                    drop(free.swap_remove(largest));
                }
                drop(free);
                vec![0.0; len]
            }
        };
        Buffer {
            start: data.as_mut_ptr(),
            data,
            pool: self,
        }
    }

    /// What the kept buffers take.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        free.iter().map(|buffer| size_of_val(&**buffer)).sum()
    }

    /// Gives all kept buffers back to the system.
    pub(crate) fn clear(&self) {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        *free = Vec::new();
    }
}

/// A buffer of a [`Pool`], returned when dropped. Threads write to their own parts of it through
/// its address; nothing else touches it meanwhile.
#[derive(Debug)]
pub(crate) struct Buffer<'pool> {
    start: *mut f32,
    data: Vec<f32>,
    pool: &'pool Pool,
}

// SAFETY: an owned vector and its address; who writes through the address answers for it.
unsafe impl Send for Buffer<'_> {}
// SAFETY: an owned vector and its address; who writes through the address answers for it.
unsafe impl Sync for Buffer<'_> {}

impl Buffer<'_> {
    /// The first element.
    pub(crate) fn start(&self) -> *mut f32 {
        self.start
    }

    /// How many floats may be read and written.
    pub(crate) fn len(&self) -> usize {
        self.data.len()
    }
}

impl Drop for Buffer<'_> {
    fn drop(&mut self) {
        let mut free = self
            .pool
            .free
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        free.push(mem::take(&mut self.data));
    }
}

/// Images of one size, one for each channel, in a [`Buffer`].
#[derive(Debug)]
pub(crate) struct Map<'pool> {
    buffer: Buffer<'pool>,
    channels: usize,
    height: usize,
    width: usize,
}

/// Floats from one channel to the next: an odd number of cache lines, since channels a power of
/// two apart would fight for the same places in the cache.
fn plane_stride(pixels: usize) -> usize {
    (pixels.div_ceil(MAX_LANES) | 1) * MAX_LANES
}

impl<'pool> Map<'pool> {
    /// A map with arbitrary contents.
    pub(crate) fn new(pool: &'pool Pool, channels: usize, [height, width]: [usize; 2]) -> Self {
        Self {
            buffer: pool.take(channels * plane_stride(height * width)),
            channels,
            height,
            width,
        }
    }

    /// Copies values in, channel by channel.
    ///
    /// # Panics
    /// If there are not as many as the map has.
    pub(crate) fn fill(&self, values: &[f32]) {
        let pixels = self.height * self.width;
        assert_eq!(values.len(), self.channels * pixels);
        for (channel, values) in values.chunks_exact(pixels).enumerate() {
            // SAFETY: no view of this map is in use yet.
            unsafe { self.planes().channel_mut(channel).copy_from_slice(values) };
        }
    }

    /// Pixel-unshuffled by two: half the size, four times the channels.
    pub(crate) fn unshuffled(pool: &'pool Pool, from: Planes<'_>) -> Self {
        let (height, width) = (from.height / 2, from.width / 2);
        let map = Self::new(pool, 4 * from.channels, [height, width]);
        for channel in 0..4 * from.channels {
            let (dy, dx) = (channel / 2 % 2, channel % 2);
            // SAFETY: no view of this map is in use yet, and nobody writes to `from`.
            let (source, to) =
                unsafe { (from.channel(channel / 4), map.planes().channel_mut(channel)) };
            for (y, row) in to.chunks_exact_mut(width).enumerate() {
                let source = &source[(2 * y + dy) * from.width..][..from.width];
                for (to, pair) in row.iter_mut().zip(source.chunks_exact(2)) {
                    *to = pair[dx];
                }
            }
        }
        map
    }

    /// Where its values are.
    pub(crate) fn planes(&self) -> Planes<'_> {
        Planes {
            start: self.buffer.start(),
            channels: self.channels,
            height: self.height,
            width: self.width,
            stride: plane_stride(self.height * self.width),
            _buffer: PhantomData,
        }
    }
}

/// Images of one size, one for each channel, which several threads read and, each its own part,
/// write. One vector may be read past the last pixel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Planes<'map> {
    start: *mut f32,
    pub(crate) channels: usize,
    pub(crate) height: usize,
    pub(crate) width: usize,
    /// Floats from one channel to the next.
    pub(crate) stride: usize,
    _buffer: PhantomData<&'map f32>,
}

// SAFETY: an address; whoever reads or writes through it (unsafe) answers for races.
unsafe impl Send for Planes<'_> {}
// SAFETY: an address; whoever reads or writes through it (unsafe) answers for races.
unsafe impl Sync for Planes<'_> {}

impl<'a> Planes<'a> {
    /// Images in a slice, to be read, and not past the last pixel.
    pub(crate) fn of_slice(values: &'a [f32], channels: usize, size: [usize; 2]) -> Self {
        let [height, width] = size;
        assert_eq!(values.len(), channels * height * width);
        Self {
            start: values.as_ptr().cast_mut(),
            channels,
            height,
            width,
            stride: height * width,
            _buffer: PhantomData,
        }
    }

    /// Images from element `first` of a result on.
    pub(crate) fn of_result(
        result: Shared<'a>,
        first: usize,
        channels: usize,
        size: [usize; 2],
    ) -> Self {
        let [height, width] = size;
        // The last element is inside too.
        result.at(first + channels * height * width);
        Self {
            start: result.at(first),
            channels,
            height,
            width,
            stride: height * width,
            _buffer: PhantomData,
        }
    }
}

impl Planes<'_> {
    /// Height and width.
    pub(crate) fn size(self) -> [usize; 2] {
        [self.height, self.width]
    }

    /// Pixels of a channel.
    pub(crate) fn pixels(self) -> usize {
        self.height * self.width
    }

    /// Pixels of all channels.
    pub(crate) fn floats(self) -> usize {
        self.channels * self.pixels()
    }

    /// The address of a pixel, in row order, and of the same in the channels that follow.
    pub(crate) fn at(self, channel: usize, pixel: usize) -> Rows {
        assert!(channel <= self.channels && pixel <= self.pixels());
        Rows {
            // SAFETY: inside the buffer or one past it.
            start: unsafe { self.start.add(channel * self.stride + pixel) },
            stride: self.stride,
        }
    }

    /// Some of the channels.
    pub(crate) fn narrow(self, first: usize, channels: usize) -> Self {
        assert!(first + channels <= self.channels);
        Self {
            start: self.at(first, 0).start,
            channels,
            ..self
        }
    }

    /// The last `height * width` pixels as images of that size.
    pub(crate) fn tail(self, [height, width]: [usize; 2]) -> Self {
        let skip = self.pixels() - height * width;
        Self {
            start: self.at(0, skip).start,
            height,
            width,
            ..self
        }
    }

    /// All channels as a slice, with what is between them.
    ///
    /// # Safety
    /// Nobody writes to it meanwhile.
    pub(crate) unsafe fn all<'a>(self) -> &'a [f32]
    where
        Self: 'a,
    {
        let gap = self.stride - self.pixels();
        // SAFETY: inside the buffer, which outlives this view.
        unsafe { core::slice::from_raw_parts(self.start, self.channels * self.stride - gap) }
    }

    /// One channel as a slice.
    ///
    /// # Safety
    /// Nobody writes to it meanwhile.
    pub(crate) unsafe fn channel<'a>(self, channel: usize) -> &'a [f32]
    where
        Self: 'a,
    {
        assert!(channel < self.channels);
        // SAFETY: inside the buffer, which outlives this view.
        unsafe { core::slice::from_raw_parts(self.at(channel, 0).start, self.pixels()) }
    }

    /// One channel as a slice to write to.
    ///
    /// # Safety
    /// Nobody else reads or writes it meanwhile.
    #[allow(clippy::mut_from_ref, reason = "a view of a buffer shared by threads")]
    pub(crate) unsafe fn channel_mut<'a>(self, channel: usize) -> &'a mut [f32]
    where
        Self: 'a,
    {
        assert!(channel < self.channels);
        // SAFETY: inside the buffer, which outlives this view.
        unsafe { core::slice::from_raw_parts_mut(self.at(channel, 0).start, self.pixels()) }
    }
}

//! Work on the pixels of a batch, in chunks for threads.

use rayon::prelude::*;

/// Runs `work(sample, first element, elements)` for all samples in parallel, in chunks of at most so many elements.
pub(crate) fn for_each_chunk(
    batch: usize,
    elements: usize,
    chunk: usize,
    work: impl Fn(usize, usize, usize) + Sync,
) {
    let chunks = elements.div_ceil(chunk);
    (0..batch * chunks).into_par_iter().for_each(|task| {
        let first = task % chunks * chunk;
        work(task / chunks, first, chunk.min(elements - first));
    });
}

/// The chunk whose `channels` stay in the second cache.
pub(crate) fn cached(pixels: usize, channels: usize) -> usize {
    let cached = (1 << 17) / channels.max(1) / 64 * 64;
    let shared = pixels.div_ceil(8).next_multiple_of(64);
    cached.clamp(64, 1024).min(shared)
}

//! The peak memory of a restoration, computed from the buffers that it allocates.

use super::{Network, Options, Removal, toning};

/// Bytes of a pixel as the network sees it: red, green and blue in floats.
const RGB: u64 = 12;

/// Bytes of the expected error of a pixel.
const ERROR: u64 = 4;

/// The number of rows that are cropped, or converted by a front end, at a time.
pub(super) const ROWS: usize = 32;
/// Bytes of a pixel in such rows: a cropped copy, and up to four floats in which a front end writes it.
const HANDED_ON: u64 = RGB + 16;

/// Copies of the global statistics during a run: as they are recorded, in a vector that grows, and twice on their way.
const STATISTICS: u64 = 4;

/// The peak bytes of a restoration in tiles of `[height, width]`, for an image of `[height, width]`. They are those of the
/// network (with steering if one fault is removed and another kept, with the uncertainty if it is asked for), of the tile, of
/// the rows that tiles are added to, and of the rows on their way to the sink.
pub(super) fn peak_bytes<N: Network + ?Sized>(
    network: &N,
    [height, width]: [usize; 2],
    image: [usize; 2],
    options: &Options,
) -> u64 {
    let of_network = |height, width| {
        let steering = match options.removal == Removal::ALL {
            true => 0,
            false => network.steering_bytes(height, width),
        };
        let uncertainty = match options.uncertainty {
            true => network.uncertainty_bytes(height, width),
            false => 0,
        };
        network.activation_bytes(height, width) + steering + uncertainty
    };
    let mut run = of_network(height, width);
    if options.self_ensemble {
        // The self-ensemble also runs transposed tiles.
        run = run.max(of_network(width, height));
    }
    let [height, width, image_width] = [height, width, image[1]].map(|side| side as u64);
    // The tile as the source gave it, the mean of its passes, and the result of the network.
    let tile = 3 * RGB * height * width;
    // Of a calibration pass the mean is kept for each pass.
    let statistics = (options.passes() as u64 + STATISTICS) * network.statistics_bytes();
    // The weights of the columns need one more row.
    let band = RGB * (height + 1) * image_width;
    let handed_on = HANDED_ON * ROWS as u64 * image_width;
    // The expected errors: in the result of the network, in the mean of its passes, alone, and in rows.
    let errors = match options.uncertainty {
        true => ERROR * (3 * height * width + (height + 1 + ROWS as u64) * image_width),
        false => 0,
    };
    // The search for a toned photo comes first, when nothing else is allocated.
    (run + tile + statistics + band + handed_on + errors).max(toning::peak_bytes(image))
}

//! What the processor could do: products of matrices that are in its caches.

use std::time::Instant;

use crate::cpu::matrix::Matrix;
use crate::cpu::pool::Pool;
use crate::cpu::rows::PANEL;
use crate::cpu::rows::Rows;

/// Rows and inner length of the product, as in the middle of the network.
const SIZE: usize = 192;

/// Products in one measurement.
const REPEATS: usize = 400;

/// The most floating-point operations in a second that all threads reach together in matrix
/// products, the best of `measurements`.
pub fn peak_flops(measurements: usize) -> f64 {
    let matrix = Matrix::from_fn(SIZE, SIZE, |row, column| (row + 2 * column) as f32 * 1e-3);
    let pool = Pool::default();
    let threads = rayon::current_num_threads();
    let run = || {
        rayon::broadcast(|_| {
            let panel = |rows: usize| pool.take(rows * PANEL);
            let (b, c) = (panel(SIZE), panel(SIZE));
            let rows = |start| Rows {
                start,
                stride: PANEL,
            };
            for _ in 0..REPEATS {
                // SAFETY: panels of this thread.
                unsafe { matrix.multiply(rows(b.start()), None, rows(c.start()), PANEL) };
            }
        });
    };
    let work = (matrix.flops() as usize * PANEL * REPEATS * threads) as f64;
    let speed = |_| {
        let start = Instant::now();
        run();
        work / start.elapsed().as_secs_f64()
    };
    (0..measurements.max(1)).map(speed).fold(0.0, f64::max)
}

//! A run of the network.

use burn::Tensor;
use burn::tensor::{Device, TensorData};

use super::{Network, Purpose, Removal, TileInput};

/// Runs a network for its [`Purpose`]; the result is for [`Restoration::accept`](super::Restoration::accept).
pub fn run<N: Network + ?Sized>(network: &N, input: TileInput, device: &Device) -> Tensor<1> {
    let shape = [1, 3, input.height, input.width];
    let x = Tensor::<4>::from_data(TensorData::new(input.planar, shape), device);
    let stats = match input.purpose {
        Purpose::Calibrate => return network.global_statistics(x).flatten(0, 1),
        Purpose::Restore => None,
        Purpose::RestoreWithStats(stats) => {
            Some(Tensor::<1>::from_floats(stats.as_slice(), device).unsqueeze())
        }
    };
    if input.uncertainty {
        let [restored, errors] = network.forward_with_uncertainty(x, stats, &input.removal);
        return Tensor::cat(vec![restored, errors], 1).flatten(0, 3);
    }
    let restored = match stats {
        stats if input.removal != Removal::ALL => network.forward_steered(x, stats, &input.removal),
        Some(stats) => network.forward_with_stats(x, stats),
        None => network.forward(x),
    };
    restored.flatten(0, 3)
}

/// Releases a network's buffers however a restoration ends.
pub(super) struct Release<'a, N: Network>(pub(super) &'a N);

impl<N: Network> Drop for Release<'_, N> {
    fn drop(&mut self) {
        self.0.release();
    }
}

//! A network with global statistics, for tests.

use burn::Tensor;

use crate::restore::Network;

/// One number of all that it sees, and what it makes of a picture and that number, `[1, 1, 1, 1]`.
pub(in crate::restore) struct Global {
    pub(in crate::restore) statistic: fn(Tensor<4>) -> Tensor<1>,
    pub(in crate::restore) apply: fn(Tensor<4>, Tensor<4>) -> Tensor<4>,
}

impl Network for Global {
    fn multiple(&self) -> usize {
        8
    }

    fn activation_bytes(&self, height: usize, width: usize) -> u64 {
        (height * width) as u64
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let stats = self.global_statistics(x.clone());
        self.forward_with_stats(x, stats)
    }

    fn has_global_statistics(&self) -> bool {
        true
    }

    fn global_statistics(&self, x: Tensor<4>) -> Tensor<2> {
        (self.statistic)(x).reshape([1, 1])
    }

    fn forward_with_stats(&self, x: Tensor<4>, stats: Tensor<2>) -> Tensor<4> {
        (self.apply)(x, stats.reshape([1, 1, 1, 1]))
    }
}

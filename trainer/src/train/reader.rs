//! Numbers that a device computes, on their way to the host.

use std::sync::mpsc::{Receiver, Sender, channel};

use anyhow::{Context, Result};
use burn::tensor::Tensor;

/// Waits for a device in a thread of its own, so that the loop can start the steps that follow.
#[derive(Debug)]
pub(super) struct Reader {
    wanted: Sender<Tensor<1>>,
    found: Receiver<Result<Vec<f32>>>,
}

impl Reader {
    /// Starts the thread, which ends with this.
    pub fn start() -> Self {
        let (wanted, tensors) = channel::<Tensor<1>>();
        let (answers, found) = channel();
        std::thread::spawn(move || {
            for tensor in tensors {
                let values = tensor.into_data().try_to_vec::<f32>();
                let values = values.context("the numbers of a step are not f32");
                if answers.send(values).is_err() {
                    break;
                }
            }
        });
        Self { wanted, found }
    }

    /// Has values read as soon as they are computed.
    ///
    /// # Errors
    /// If the device failed.
    pub fn read(&self, values: Tensor<1>) -> Result<()> {
        self.wanted.send(values).ok().context(FAILED)
    }

    /// The values of the earliest request that was not answered yet.
    ///
    /// # Errors
    /// If the device failed.
    pub fn next(&self) -> Result<Vec<f32>> {
        self.found.recv().ok().context(FAILED)?
    }
}

const FAILED: &str = "the device does not answer";

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn values_come_in_the_order_of_the_requests() {
        let reader = Reader::start();
        let device = Device::flex();
        for number in 0..3u8 {
            let number = f32::from(number);
            let values = Tensor::from_floats([number, 2.0 * number], &device);
            reader.read(values).expect("the thread is there");
        }
        let found = [(); 3].map(|()| reader.next().expect("an answer"));
        assert_eq!(found, [[0.0, 0.0], [1.0, 2.0], [2.0, 4.0]]);
    }
}

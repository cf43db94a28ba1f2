//! Processes that train together, on one machine or several: `mpirun -n 4 trainer train ...`, or Slurm's `srun`.
//!
//! Each computes its part of every batch and gets the sum of all gradients, so that each makes the same step. MPI (feature `mpi`) carries
//! the sums.

use std::iter::once;

use anyhow::{Context, Result, ensure};
use burn::tensor::{Device, Tensor, TensorData};

use super::batch::BatchRequest;
use super::config::TrainConfig;
use super::replicas::StepGradients;

/// Which of the processes this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rank {
    /// Counted from 0. The first one writes the run's folder.
    pub index: usize,
    /// Processes.
    pub count: usize,
}

impl Rank {
    /// Of a run in one process.
    pub const ALONE: Self = Self { index: 0, count: 1 };

    /// Whether it writes the run's folder.
    pub fn is_first(self) -> bool {
        self.index == 0
    }

    /// Asks for this process's part of a batch. All parts together are the samples of the whole.
    pub(super) fn part(self, whole: BatchRequest) -> BatchRequest {
        let Self { index, count } = self;
        BatchRequest {
            step: whole.step * count as u64 + index as u64,
            count: whole.count / count,
            ..whole
        }
    }
}

/// Whether a process can make the next step, from best to worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Readiness {
    /// It has its samples.
    Ready,
    /// It was asked to stop.
    Stopped,
    /// It has no samples, and says why itself.
    Failed,
}

/// This process among those of its run.
#[derive(Debug)]
pub struct Ranks {
    rank: Rank,
    #[cfg(feature = "mpi")]
    mpi: mpi_world::World,
}

impl Ranks {
    /// Whether a launcher started several processes together.
    pub fn launched() -> bool {
        let several = |name| std::env::var_os(name).is_some_and(|count| count != "1");
        ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE"]
            .into_iter()
            .any(several)
    }

    /// Joins the processes that a launcher started together; none if this one was started by itself.
    ///
    /// # Errors
    /// If this program was built without MPI.
    pub fn join() -> Result<Option<Self>> {
        if !Self::launched() {
            return Ok(None);
        }
        #[cfg(feature = "mpi")]
        {
            let mpi = mpi_world::World::join().context("MPI cannot be started")?;
            let rank = mpi.rank();
            Ok(Some(Self { rank, mpi }))
        }
        #[cfg(not(feature = "mpi"))]
        anyhow::bail!(
            "several processes were started, but this program cannot train in more than one: build it with --features mpi, or start one"
        )
    }

    /// Which one this is.
    pub fn rank(&self) -> Rank {
        self.rank
    }

    /// # Errors
    /// If the processes were given different settings, or their number does not divide the batches.
    pub fn check(&self, config: &TrainConfig) -> Result<()> {
        let count = self.rank.count;
        for stage in &config.stages {
            ensure!(
                stage.batch.is_multiple_of(count),
                "a batch of {} cannot be divided among {count} processes",
                stage.batch
            );
        }
        let differs =
            u8::from(self.sent_by_first(config.text.as_bytes()) != config.text.as_bytes());
        ensure!(
            self.worst(differs) == 0,
            "the processes of this run have different settings; start all with the same --config and --set"
        );
        Ok(())
    }

    /// The readiness of the least ready process.
    pub(super) fn agree(&self, own: Readiness) -> Readiness {
        match self.worst(own as u8) {
            0 => Readiness::Ready,
            1 => Readiness::Stopped,
            _ => Readiness::Failed,
        }
    }

    /// Loss and gradients of the whole batch from those of all parts, which are of one size; the errors of all samples.
    ///
    /// # Errors
    /// If the device fails.
    pub(super) fn sum(&self, own: StepGradients) -> Result<StepGradients> {
        let device = own.loss.device();
        let Rank { index, count } = self.rank;
        let groups = own.errors.dims()[0];
        let zeros = |groups: usize| Tensor::<1>::zeros([groups], &device);
        let gradients = own.gradients.values().cloned();
        let means = once(own.loss)
            .chain(own.statistics.clone())
            .chain(gradients);
        let means = Tensor::cat(means.collect(), 0) / count as f64;
        // The errors of the others are zero here.
        let errors = [
            zeros(index * groups),
            own.errors,
            zeros((count - 1 - index) * groups),
        ];
        let errors = errors.into_iter().filter(|part| part.dims()[0] > 0);
        let all = Tensor::cat(once(means).chain(errors).collect(), 0);
        let all = all
            .into_data()
            .try_to_vec::<f32>()
            .context("gradients are not f32")?;
        let mut parts = Parts::of(self.total(&all), &device);
        Ok(StepGradients {
            loss: parts.take(1),
            statistics: own.statistics.map(|own| parts.take(own.dims()[0])),
            gradients: own
                .gradients
                .into_iter()
                .map(|(name, own)| (name, parts.take(own.dims()[0])))
                .collect(),
            errors: parts.take(count * groups),
        })
    }
}

/// A long tensor that is taken apart from its beginning.
struct Parts {
    all: Tensor<1>,
    taken: usize,
}

impl Parts {
    fn of(values: Vec<f32>, device: &Device) -> Self {
        let length = values.len();
        let all = Tensor::from_data(TensorData::new(values, [length]), device);
        Self { all, taken: 0 }
    }

    fn take(&mut self, length: usize) -> Tensor<1> {
        let start = self.taken;
        self.taken += length;
        self.all.clone().narrow(0, start, length)
    }
}

#[cfg(feature = "mpi")]
impl Ranks {
    fn total(&self, own: &[f32]) -> Vec<f32> {
        self.mpi.sum(own)
    }

    fn worst(&self, own: u8) -> u8 {
        self.mpi.max(own)
    }

    /// The first one's bytes.
    fn sent_by_first(&self, own: &[u8]) -> Vec<u8> {
        self.mpi.sent_by_first(own)
    }
}

/// Without MPI there is no other process: [`Ranks::join`] never makes one of these.
#[cfg(not(feature = "mpi"))]
impl Ranks {
    fn total(&self, own: &[f32]) -> Vec<f32> {
        own.to_vec()
    }

    fn worst(&self, own: u8) -> u8 {
        own
    }

    fn sent_by_first(&self, own: &[u8]) -> Vec<u8> {
        own.to_vec()
    }
}

#[cfg(feature = "mpi")]
mod mpi_world {
    use std::fmt;

    use mpi::Threading;
    use mpi::collective::SystemOperation;
    use mpi::environment::Universe;
    use mpi::traits::{Communicator, CommunicatorCollectives, Root};

    use super::Rank;

    /// All processes of the run. MPI ends with it.
    pub(super) struct World(Universe);

    impl World {
        pub fn join() -> Option<Self> {
            // Other threads load samples; this one alone speaks to the other processes.
            let (universe, _) = mpi::initialize_with_threading(Threading::Funneled)?;
            Some(Self(universe))
        }

        pub fn rank(&self) -> Rank {
            let world = self.0.world();
            Rank {
                index: world.rank().try_into().unwrap_or_default(),
                count: world.size().try_into().unwrap_or(1),
            }
        }

        pub fn sum(&self, own: &[f32]) -> Vec<f32> {
            let mut sum = vec![0.0_f32; own.len()];
            let world = self.0.world();
            world.all_reduce_into(own, &mut sum[..], SystemOperation::sum());
            sum
        }

        pub fn max(&self, own: u8) -> u8 {
            let mut worst = own;
            let world = self.0.world();
            world.all_reduce_into(&own, &mut worst, SystemOperation::max());
            worst
        }

        pub fn sent_by_first(&self, own: &[u8]) -> Vec<u8> {
            let world = self.0.world();
            let first = world.process_at_rank(0);
            let mut length = own.len() as u64;
            first.broadcast_into(&mut length);
            let mut bytes = own.to_vec();
            bytes.resize(length as usize, 0);
            first.broadcast_into(&mut bytes[..]);
            bytes
        }
    }

    impl fmt::Debug for World {
        fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("World")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As [`BatchSource`](super::super::BatchSource)s number them.
    fn samples(request: BatchRequest) -> Vec<u64> {
        let first = request.step * request.count as u64;
        (first..first + request.count as u64).collect()
    }

    #[test]
    fn the_parts_of_a_batch_are_its_samples() {
        let whole = BatchRequest {
            step: 7,
            count: 12,
            patch: 64,
        };
        for count in [1, 2, 3, 4] {
            let parts = (0..count).flat_map(|index| samples(Rank { index, count }.part(whole)));
            assert_eq!(parts.collect::<Vec<_>>(), samples(whole), "{count}");
        }
    }
}

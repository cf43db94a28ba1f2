//! The tensors of a file by name, whether it is PyTorch's zip archive or safetensors.

mod archive;
mod pickle;

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use half::{bf16, f16};
use safetensors::{Dtype, SafeTensors};

use archive::Archive;
use pickle::{Id, Pickle, TensorRef};

/// Names under which training scripts keep the parameters, the averaged ones first.
const NESTS: [&str; 6] = [
    "params_ema",
    "params",
    "state_dict",
    "model",
    "teacher",
    "student",
];

/// In front of every name when several GPUs were used.
const PARALLEL: &str = "module.";
/// In front of the names inside a compiled network or part of one.
const COMPILED: &str = "_orig_mod.";

/// A tensor's values, still in the file.
#[derive(Clone, Debug)]
pub struct Stored<'bytes> {
    /// Extents, outermost first.
    pub shape: Vec<usize>,
    strides: Vec<usize>,
    format: Format,
    /// From the first value on.
    data: &'bytes [u8],
}

/// All tensors of a checkpoint.
#[derive(Debug)]
pub struct TensorFile<'bytes> {
    /// By name, without the nest and what wrappers of PyTorch put into names.
    pub tensors: BTreeMap<String, Stored<'bytes>>,
    /// The nest that they were found in.
    pub nest: Option<String>,
}

impl<'bytes> TensorFile<'bytes> {
    /// Reads the list of tensors; their values are read by [`Stored::values`].
    ///
    /// # Errors
    /// What is neither of the two formats, cut short, or asks for code to be run.
    pub fn from_bytes(bytes: &'bytes [u8]) -> Result<Self> {
        let mut checkpoint = if Archive::is_one(bytes) {
            pytorch(bytes)?
        } else if bytes.starts_with(b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46") {
            bail!(
                "a checkpoint of PyTorch before 1.6: load it with a newer one, and save its \
                 state_dict again"
            );
        } else {
            safetensors(bytes)?
        };
        ensure!(!checkpoint.tensors.is_empty(), "there are no tensors in it");
        checkpoint.tensors = unwrapped(checkpoint.tensors);
        // A view with a stride of 0 can claim more than there is.
        let claimed = checkpoint.tensors.values().map(Stored::bytes);
        let claimed = claimed.fold(0usize, usize::saturating_add);
        ensure!(
            claimed <= bytes.len(),
            "its tensors claim {claimed} bytes, the file has {}",
            bytes.len()
        );
        Ok(checkpoint)
    }
}

/// Names as they are without the wrappers around the network.
fn unwrapped(tensors: BTreeMap<String, Stored<'_>>) -> BTreeMap<String, Stored<'_>> {
    let mut tensors: BTreeMap<_, _> = tensors
        .into_iter()
        .map(|(name, tensor)| (name.replace(COMPILED, ""), tensor))
        .collect();
    while !tensors.is_empty() && tensors.keys().all(|name| name.starts_with(PARALLEL)) {
        tensors = tensors
            .into_iter()
            .map(|(name, tensor)| (name[PARALLEL.len()..].to_owned(), tensor))
            .collect();
    }
    tensors
}

fn safetensors(bytes: &[u8]) -> Result<TensorFile<'_>> {
    let file = SafeTensors::deserialize(bytes)
        .context("neither a PyTorch checkpoint nor safetensors, or cut short")?;
    let tensors = file
        .tensors()
        .into_iter()
        .map(|(name, view)| {
            let stored = Stored {
                shape: view.shape().to_vec(),
                strides: contiguous(view.shape()),
                // What is no float is named when it is asked for.
                format: Format::of_safetensors(view.dtype()),
                data: view.data(),
            };
            (name, stored)
        })
        .collect();
    Ok(TensorFile {
        tensors,
        nest: None,
    })
}

fn pytorch(bytes: &[u8]) -> Result<TensorFile<'_>> {
    const PICKLE: &str = "data.pkl";
    let archive = Archive::from_bytes(bytes)?;
    let folder = archive.folder_of(PICKLE)?;
    let pickle = archive.get(&format!("{folder}{PICKLE}"));
    let pickle = Pickle::from_bytes(pickle.context("no pickle in the archive")?)?;
    let order = archive.get(&format!("{folder}byteorder"));
    ensure!(
        order.is_none_or(|order| order == b"little"),
        "written on a machine of the other byte order"
    );
    let root = pickle.root()?;
    let nested = NESTS.iter().find_map(|&nest| {
        let (_, id) = root.iter().find(|(name, _)| *name == nest)?;
        Some((nest.to_owned(), pickle.dict(*id)?))
    });
    let (nest, entries): (_, Vec<(&str, Id)>) = match nested {
        Some((nest, entries)) => (Some(nest), entries),
        None => (None, root),
    };
    let mut tensors = BTreeMap::new();
    for (name, id) in entries {
        let Some(tensor) = pickle.tensor(id) else {
            continue;
        };
        let storage = format!("{folder}data/{}", tensor.storage.key);
        let stored = archive
            .get(&storage)
            .with_context(|| format!("{storage} is not in the archive"))
            .and_then(|data| Stored::of_pytorch(tensor, data))
            .with_context(|| format!("tensor {name:?}"))?;
        tensors.insert(name.to_owned(), stored);
    }
    Ok(TensorFile { tensors, nest })
}

impl<'bytes> Stored<'bytes> {
    /// Checks that the view lies inside its storage.
    fn of_pytorch(tensor: &TensorRef<'_>, storage: &'bytes [u8]) -> Result<Self> {
        const BEYOND: &str = "it reaches beyond its storage";
        let format = Format::of_pytorch(tensor.storage.kind);
        let size = format.size();
        let data = tensor.offset.checked_mul(size).context(BEYOND)?;
        let data = storage.get(data..).context(BEYOND)?;
        let stored = Self {
            shape: tensor.shape.clone(),
            strides: tensor.strides.clone(),
            format,
            data,
        };
        if !stored.shape.contains(&0) {
            let mut last = 0usize;
            for (&extent, &stride) in stored.shape.iter().zip(&stored.strides) {
                let reach = stride.checked_mul(extent - 1);
                last = reach.and_then(|r| last.checked_add(r)).context(BEYOND)?;
            }
            let values = data.len() / size;
            ensure!(last < values, BEYOND);
            let count = stored.count().context(BEYOND)?;
            ensure!(count <= values, "it repeats values of its storage");
        }
        Ok(stored)
    }

    fn count(&self) -> Option<usize> {
        self.shape
            .iter()
            .try_fold(1usize, |count, &extent| count.checked_mul(extent))
    }

    fn bytes(&self) -> usize {
        self.count()
            .and_then(|count| count.checked_mul(self.format.size()))
            .unwrap_or(usize::MAX)
    }

    /// All values in row-major order.
    ///
    /// # Errors
    /// If they are no floats, or not finite.
    pub fn values(&self) -> Result<Vec<f32>> {
        let size = self.format.size();
        let count = self.count().context("too many values")?;
        let read = self.format.reader()?;
        let values: Vec<f32> = if self.strides == contiguous(&self.shape) {
            let data = self.data.get(..count * size);
            data.context("it reaches beyond its storage")?
                .chunks_exact(size)
                .map(read)
                .collect()
        } else {
            (0..count)
                .map(|index| {
                    let at = self.place(index) * size;
                    read(&self.data[at..at + size])
                })
                .collect()
        };
        ensure!(
            values.iter().all(|value| value.is_finite()),
            "it has values that are not finite"
        );
        Ok(values)
    }

    /// Where the value of a row-major index is.
    fn place(&self, mut index: usize) -> usize {
        let mut place = 0;
        for (&extent, &stride) in self.shape.iter().zip(&self.strides).rev() {
            place += index % extent * stride;
            index /= extent;
        }
        place
    }
}

/// Strides of a tensor in row-major order.
fn contiguous(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1usize; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis].saturating_mul(shape[axis]);
    }
    strides
}

/// How a value is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    F64,
    F32,
    F16,
    Bf16,
    /// No float.
    Other,
}

impl Format {
    fn of_pytorch(storage: &str) -> Self {
        match storage {
            "DoubleStorage" => Self::F64,
            "FloatStorage" => Self::F32,
            "HalfStorage" => Self::F16,
            "BFloat16Storage" => Self::Bf16,
            _ => Self::Other,
        }
    }

    fn of_safetensors(dtype: Dtype) -> Self {
        match dtype {
            Dtype::F64 => Self::F64,
            Dtype::F32 => Self::F32,
            Dtype::F16 => Self::F16,
            Dtype::BF16 => Self::Bf16,
            _ => Self::Other,
        }
    }

    /// Bytes of a value, at least.
    fn size(self) -> usize {
        match self {
            Self::F64 => 8,
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
            Self::Other => 1,
        }
    }

    /// A function from the bytes of one value to it.
    fn reader(self) -> Result<fn(&[u8]) -> f32> {
        fn bytes<const N: usize>(value: &[u8]) -> [u8; N] {
            // The slices are cut to this size.
            value.try_into().unwrap_or([0; N])
        }
        Ok(match self {
            Self::F64 => |value| f64::from_le_bytes(bytes(value)) as f32,
            Self::F32 => |value| f32::from_le_bytes(bytes(value)),
            Self::F16 => |value| f16::from_le_bytes(bytes(value)).to_f32(),
            Self::Bf16 => |value| bf16::from_le_bytes(bytes(value)).to_f32(),
            Self::Other => bail!("its values are no floats (f32, f16, bf16, f64)"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrappers_leave_the_names() {
        let stored = Stored {
            shape: vec![],
            strides: vec![],
            format: Format::F32,
            data: &[],
        };
        for (wrapped, plain) in [
            (["_orig_mod.a.w", "_orig_mod.b"], ["a.w", "b"]),
            (["module._orig_mod.a", "module._orig_mod.b"], ["a", "b"]),
            (["_orig_mod.module.a", "_orig_mod.module.b"], ["a", "b"]),
            (["a._orig_mod.w", "b"], ["a.w", "b"]),
            (["module.a", "b"], ["b", "module.a"]),
        ] {
            let tensors = wrapped.map(|name| (name.to_owned(), stored.clone()));
            let names: Vec<String> = unwrapped(tensors.into()).into_keys().collect();
            assert_eq!(names, plain);
        }
    }

    #[test]
    fn views_are_gathered_by_their_strides() {
        let data: Vec<u8> = (0..6u8).flat_map(|v| f32::from(v).to_le_bytes()).collect();
        let stored = |shape: &[usize], strides: &[usize], data| Stored {
            shape: shape.to_vec(),
            strides: strides.to_vec(),
            format: Format::F32,
            data,
        };
        let transposed = stored(&[3, 2], &[1, 3], &data);
        assert_eq!(
            transposed.values().expect("floats"),
            [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]
        );
        let tail = stored(&[1, 2], &[2, 1], &data[16..]);
        assert_eq!(tail.values().expect("floats"), [4.0, 5.0]);
        assert_eq!(contiguous(&[4, 3, 2]), [6, 2, 1]);
    }
}

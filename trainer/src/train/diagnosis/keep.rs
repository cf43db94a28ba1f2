//! Observations in a file, so that learning can be tried again without making them again.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use dino_ir::model::diagnosis::Faults;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use super::Observations;
use crate::host::atomic::write_atomically;
use crate::model::weights;

/// Writes `inputs`, `[patches, inputs]`, and `faults`, `[patches, 5]`, as f32.
///
/// # Errors
/// Names the file.
pub fn write(path: &Path, observations: &Observations) -> Result<()> {
    let bytes =
        |values: Vec<f32>| -> Vec<u8> { values.into_iter().flat_map(f32::to_le_bytes).collect() };
    let faults = observations.faults.iter();
    let faults = faults.flat_map(|f| [f.noise, f.blur, f.rain, f.haze, f.jpeg]);
    let parts = [
        ("inputs", bytes(observations.inputs.concat())),
        ("faults", bytes(faults.collect())),
    ];
    let patches = observations.inputs.len();
    let views = parts
        .iter()
        .map(|(name, bytes)| {
            let shape = vec![patches, bytes.len() / 4 / patches];
            Ok((*name, TensorView::new(Dtype::F32, shape, bytes)?))
        })
        .collect::<Result<Vec<_>>>()?;
    let file = safetensors::serialize(views, None)?;
    write_atomically(path, &file).with_context(|| format!("{}: cannot be written", path.display()))
}

/// Reads what [`write`] wrote.
///
/// # Errors
/// Names the file.
pub fn read(path: &Path) -> Result<Observations> {
    let file = weights::read(path)?;
    let unfit = || {
        format!(
            "{}: holds no described patches; remove it, or choose another name",
            path.display()
        )
    };
    let tensors = SafeTensors::deserialize(&file).with_context(unfit)?;
    let rows = |name: &str| -> Result<Vec<Vec<f32>>> {
        let view = tensors.tensor(name).with_context(unfit)?;
        let &[patches, width] = view.shape() else {
            anyhow::bail!(unfit());
        };
        ensure!(
            view.dtype() == Dtype::F32 && patches > 0 && width > 0,
            unfit()
        );
        let (numbers, _) = view.data().as_chunks::<4>();
        let numbers: Vec<f32> = numbers.iter().map(|&n| f32::from_le_bytes(n)).collect();
        Ok(numbers.chunks_exact(width).map(<[f32]>::to_vec).collect())
    };
    let (inputs, faults) = (rows("inputs")?, rows("faults")?);
    let faults = faults
        .iter()
        .map(|row| match row[..] {
            [noise, blur, rain, haze, jpeg] => Ok(Faults {
                noise,
                blur,
                rain,
                haze,
                jpeg,
            }),
            _ => anyhow::bail!(unfit()),
        })
        .collect::<Result<Vec<_>>>()?;
    ensure!(inputs.len() == faults.len(), unfit());
    Ok(Observations { inputs, faults })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_comes_back() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("patches.safetensors");
        let observations = Observations {
            inputs: vec![vec![1.0, -2.0, 0.5], vec![0.0, 3.0, 7.0]],
            faults: vec![
                Faults::NONE,
                Faults {
                    noise: 20.0,
                    ..Faults::NONE
                },
            ],
        };
        write(&path, &observations).expect("written");
        let found = read(&path).expect("read");
        assert_eq!(found.inputs, observations.inputs);
        assert_eq!(found.faults, observations.faults);
        std::fs::write(&path, b"something else").expect("written");
        let error = format!("{:#}", read(&path).expect_err("no patches"));
        assert!(error.contains("patches.safetensors"), "{error}");
    }
}

//! The device of a command, and the devices of a training run: one, or several of one machine that share each batch.

use std::fmt;
use std::str::FromStr;

use burn::tensor::Device;
use dino_ir::device::DeviceChoice;
use dino_ir::{Error, Result};

use crate::host::terminal;

/// Opens a device as [`DeviceChoice::open`] does; standard error says which devices `auto` refuses.
///
/// # Errors
/// As there.
pub fn open<T>(
    choice: DeviceChoice,
    load: impl Fn(&Device) -> Result<T>,
) -> Result<(DeviceChoice, T)> {
    let opened = choice.open(load)?;
    for refusal in &opened.refused {
        terminal::note(&refusal.to_string());
    }
    Ok((opened.device, opened.loaded))
}

/// What the user asked for: a device, or several with commas between them, such as `cuda:0,1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Devices {
    /// Has the model, and sums the gradients.
    pub first: DeviceChoice,
    /// Compute parts of each batch as well.
    pub others: Vec<DeviceChoice>,
}

impl FromStr for Devices {
    type Err = Error;

    fn from_str(names: &str) -> Result<Self> {
        let mut names = names.split(',');
        let first = names.next().unwrap_or_default().parse()?;
        let mut others: Vec<DeviceChoice> = Vec::new();
        for name in names {
            let previous = others.last().unwrap_or(&first);
            others.push(match (previous, name.parse()) {
                (DeviceChoice::Cuda(_), Ok(number)) => DeviceChoice::Cuda(number),
                _ => name.parse()?,
            });
        }
        let auto = first == DeviceChoice::Auto || others.contains(&DeviceChoice::Auto);
        if auto && !others.is_empty() {
            let message = "auto is one device: name each of several, such as cuda:0,1";
            return Err(Error::InvalidOption(message.into()));
        }
        Ok(Self { first, others })
    }
}

impl fmt::Display for Devices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.first)?;
        self.others
            .iter()
            .try_for_each(|other| write!(f, ",{other}"))
    }
}

impl Devices {
    /// Opens all but the first.
    ///
    /// # Errors
    /// As [`DeviceChoice::device`].
    pub fn open_others(&self) -> Result<Vec<Device>> {
        self.others.iter().map(|other| other.device()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_and_shown() {
        for (names, shown) in [
            ("auto", "auto"),
            ("cuda:1", "cuda:1"),
            ("cuda:0,1", "cuda:0,cuda:1"),
            ("cuda,2,cuda:1", "cuda:0,cuda:2,cuda:1"),
            ("cpu,cpu", "cpu,cpu"),
        ] {
            let devices: Devices = names.parse().expect(names);
            assert_eq!(devices.to_string(), shown);
        }
        for wrong in ["", "cuda:0,", "cpu,1", "auto,cpu", "cuda:0,auto", "0,1"] {
            assert!(wrong.parse::<Devices>().is_err(), "{wrong}");
        }
    }
}

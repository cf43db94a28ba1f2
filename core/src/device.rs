//! Which device computes.

use std::fmt;
use std::str::FromStr;

use burn::tensor::Device;

use crate::{Error, Result};

/// What the user asked for: `auto`, `cpu`, `wgpu` or `cuda[:N]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceChoice {
    /// The best device that works.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// A GPU through Vulkan, Metal or DirectX 12.
    Wgpu,
    /// The NVIDIA GPU with this number.
    Cuda(usize),
}

impl FromStr for DeviceChoice {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let unknown = || {
            Error::InvalidOption(format!(
                "device {name:?}: use auto, cpu, wgpu, cuda or cuda:N"
            ))
        };
        match name {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "wgpu" => Ok(Self::Wgpu),
            "cuda" => Ok(Self::Cuda(0)),
            _ => {
                let number = name.strip_prefix("cuda:").ok_or_else(unknown)?;
                number.parse().map(Self::Cuda).map_err(|_| unknown())
            }
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Wgpu => f.write_str("wgpu"),
            Self::Cuda(number) => write!(f, "cuda:{number}"),
        }
    }
}

/// A device that works, and what was loaded there.
#[derive(Debug)]
pub struct Opened<T> {
    /// The device; with `auto`, the one that was chosen.
    pub device: DeviceChoice,
    /// What was loaded.
    pub loaded: T,
    /// Better devices that `auto` found and refused. Tell the user.
    pub refused: Vec<Refusal>,
}

/// A device that is there, but does not work correctly.
#[derive(Debug, thiserror::Error)]
#[error("{device} is not used: {error}")]
pub struct Refusal {
    /// The device.
    pub device: DeviceChoice,
    /// Why.
    pub error: Error,
}

impl DeviceChoice {
    /// Opens the device and lets `load` prepare it (read weights, check golden values). `Auto`
    /// goes on to the next best device when one is not there or is refused, as when it fails its golden
    /// check, and ends at the CPU.
    ///
    /// # Errors
    /// [`Error::Device`] if the device is not there; whatever `load` returns.
    pub fn open<T>(self, load: impl Fn(&Device) -> Result<T>) -> Result<Opened<T>> {
        let (better, last): (&[Self], Self) = match self {
            Self::Auto => (&[Self::Cuda(0), Self::Wgpu], Self::Cpu),
            chosen => (&[], chosen),
        };
        let opened = |device, loaded, refused| Opened {
            device,
            loaded,
            refused,
        };
        let mut refused = Vec::new();
        for &device in better {
            // Few machines have all of them: one that is not there is not worth a word.
            let Ok(found) = device.device() else {
                continue;
            };
            match load(&found) {
                Ok(loaded) => return Ok(opened(device, loaded, refused)),
                Err(error @ (Error::Device(_) | Error::Golden(_))) => {
                    refused.push(Refusal { device, error });
                }
                Err(error) => return Err(error),
            }
        }
        Ok(opened(last, load(&last.device()?)?, refused))
    }

    /// The device, tried with one small product.
    ///
    /// # Errors
    /// [`Error::Device`] if this build or this machine has no such device.
    pub fn device(self) -> Result<Device> {
        match self {
            Self::Auto | Self::Cpu => Ok(Device::flex()),
            #[cfg(feature = "wgpu")]
            Self::Wgpu => try_out("wgpu", "no GPU adapter with a working driver", || {
                Device::wgpu(burn::tensor::DeviceKind::DefaultDevice)
            }),
            #[cfg(feature = "cuda")]
            Self::Cuda(number) => try_out("cuda", "no NVIDIA driver or no such GPU", || {
                Device::cuda(number)
            }),
            #[allow(unreachable_patterns, reason = "depends on the features")]
            Self::Wgpu | Self::Cuda(_) => Err(Error::Device(format!(
                "{self}: this program was built without it; use the device cpu"
            ))),
        }
    }
}

/// The runtimes panic where they find no driver; a panic here means that the device is not there.
#[cfg(any(feature = "wgpu", feature = "cuda"))]
fn try_out(name: &str, reason: &str, open: impl Fn() -> Device) -> Result<Device> {
    use std::sync::{Mutex, PoisonError};

    // All threads share the hook: a second one that came in between would put the silent one back for ever.
    static HOOK: Mutex<()> = Mutex::new(());
    let _one_at_a_time = HOOK.lock().unwrap_or_else(PoisonError::into_inner);
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let tried = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let device = open();
        let ones = burn::tensor::Tensor::<2>::ones([2, 2], &device);
        let sum: f32 = ones.clone().matmul(ones).sum().into_scalar();
        (sum == 8.0).then_some(device)
    }));
    std::panic::set_hook(hook);
    tried
        .ok()
        .flatten()
        .ok_or_else(|| Error::Device(format!("{name}: {reason}; use the device cpu")))
}

//! What can go wrong, one variant for each thing that a caller can do about it.

/// The library's result type.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of the library. Each message is one line that says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The pixels handed in do not form an image: correct the size or the buffer.
    #[error("invalid image: {0}")]
    InvalidImage(String),
    /// An option is outside its range: correct the option.
    #[error("invalid option: {0}")]
    InvalidOption(String),
    /// The work does not fit the memory budget: raise it or use smaller tiles.
    #[error("out of memory: {0}")]
    OutOfMemory(String),
    /// The weights cannot be used: take another file.
    #[error("weights: {0}")]
    Weights(String),
    /// A weights file cannot be read, or what it holds cannot be used: take another file.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: std::path::PathBuf,
        /// Why, and what to do.
        reason: String,
    },
    /// The device cannot be opened: choose another one.
    #[error("device: {0}")]
    Device(String),
    /// The device computes other values than the weights' golden ones: choose another one.
    #[error("golden check failed: {0}")]
    Golden(String),
    /// The progress callback asked to stop.
    #[error("cancelled")]
    Cancelled,
    /// The caller's own error: its [`Source`](crate::Source) could not be read, or its [`Sink`](crate::Sink) could not be
    /// written. It comes back as it was given, and its message is the whole message.
    #[error(transparent)]
    Caller(Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// Values that are not finite, which neither sound weights nor a sound device give.
    pub(crate) fn broken(what: &str) -> Self {
        Self::Device(format!(
            "{what}: its weights or its device are broken; take other weights or the device cpu"
        ))
    }

    /// What is at fault, in a word that does not change: `image`, `option`, `memory`, `weights`, `device`, `cancelled` or
    /// `caller`. For callers that hand errors on to other languages; messages are for people and may change.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::InvalidImage(_) => "image",
            Self::InvalidOption(_) => "option",
            Self::OutOfMemory(_) => "memory",
            Self::Weights(_) | Self::File { .. } => "weights",
            Self::Device(_) | Self::Golden(_) => "device",
            Self::Cancelled => "cancelled",
            Self::Caller(_) => "caller",
        }
    }
}

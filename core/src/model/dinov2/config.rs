//! Sizes of DINOv2.

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Sizes of a [`Dinov2`](super::Dinov2).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dinov2Config {
    /// Width of a token.
    pub width: usize,
    /// Number of blocks.
    pub depth: usize,
    /// Attention heads.
    pub heads: usize,
    /// Register tokens: 0, or 4 in the published register models.
    #[serde(default)]
    pub registers: usize,
    /// SwiGLU feed-forward network, as in ViT-g.
    #[serde(default)]
    pub swiglu: bool,
    /// Side of the learned position grid; 37 in the published models (518 pixels).
    #[serde(default = "published_grid")]
    pub grid: usize,
}

fn published_grid() -> usize {
    37
}

impl Dinov2Config {
    fn published(width: usize, depth: usize, heads: usize, swiglu: bool) -> Self {
        Self {
            width,
            depth,
            heads,
            registers: 0,
            swiglu,
            grid: published_grid(),
        }
    }

    /// ViT-S/14.
    pub fn small() -> Self {
        Self::published(384, 12, 6, false)
    }

    /// ViT-B/14.
    pub fn base() -> Self {
        Self::published(768, 12, 12, false)
    }

    /// ViT-L/14.
    pub fn large() -> Self {
        Self::published(1024, 24, 16, false)
    }

    /// ViT-g/14.
    pub fn giant() -> Self {
        Self::published(1536, 40, 24, true)
    }

    /// The compact backbone of the `nano` preset.
    pub fn nano() -> Self {
        Self {
            grid: 16,
            ..Self::published(128, 6, 4, false)
        }
    }

    /// With the published number of register tokens.
    pub fn with_registers(self) -> Self {
        Self {
            registers: 4,
            ..self
        }
    }

    /// # Errors
    /// [`Error::Weights`] if no such net can exist, or is too large to be meant.
    pub fn validate(&self) -> Result<()> {
        let wrong = |what: String| Err(Error::Weights(format!("dinov2 config: {what}")));
        if self.heads == 0 || self.width == 0 || !self.width.is_multiple_of(self.heads) {
            return wrong(format!(
                "{} heads do not divide width {}",
                self.heads, self.width
            ));
        }
        if self.width > 8192 || self.registers > 64 {
            return wrong("width over 8192 or more than 64 registers".into());
        }
        if self.depth == 0 || self.depth > 256 || self.grid == 0 || self.grid > 512 {
            return wrong("depth not in 1..=256 or grid not in 1..=512".into());
        }
        Ok(())
    }
}

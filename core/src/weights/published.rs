//! The names that published checkpoints give to our parameters, as tables.
//!
//! A row has the beginning of our name and the beginning of the published one, in whole parts between dots. The rest of the
//! two names is equal, except for the parts of `KeyMap::inner`.

/// Translates our names to those of a published checkpoint.
#[derive(Clone, Copy, Debug)]
pub struct KeyMap {
    /// A prefix of all of our names that the published ones do not have.
    root: &'static str,
    /// Beginnings: ours, theirs.
    rows: &'static [(&'static str, &'static str)],
    /// Parts further inside: ours, theirs.
    inner: &'static [(&'static str, &'static str)],
}

/// Meta's `dinov2_vit{s,b,l,g}14[_reg4]_pretrain.pth`, for the parameters of a
/// [`Dinov2`](crate::model::dinov2::Dinov2).
pub const DINOV2: KeyMap = KeyMap {
    root: "",
    rows: &[("patch_embed", "patch_embed.proj")],
    inner: &[("ls1", "ls1.gamma"), ("ls2", "ls2.gamma")],
};

/// Parameters of Meta's checkpoints without a use after training.
pub const DINOV2_UNUSED: &[&str] = &["mask_token"];

/// The authors' checkpoints of Restormer, for the parameters of a
/// [`DinoIr`](crate::model::DinoIr) without guidance.
pub const RESTORMER: KeyMap = KeyMap {
    root: "restormer.",
    rows: &[
        ("patch_embed", "patch_embed.proj"),
        ("encoder.0", "encoder_level1"),
        ("down.0.conv", "down1_2.body.0"),
        ("encoder.1", "encoder_level2"),
        ("down.1.conv", "down2_3.body.0"),
        ("encoder.2", "encoder_level3"),
        ("down.2.conv", "down3_4.body.0"),
        ("latent", "latent"),
        ("up.0.conv", "up4_3.body.0"),
        ("reduce.0", "reduce_chan_level3"),
        ("decoder.0", "decoder_level3"),
        ("up.1.conv", "up3_2.body.0"),
        ("reduce.1", "reduce_chan_level2"),
        ("decoder.1", "decoder_level2"),
        ("up.2.conv", "up2_1.body.0"),
        ("decoder.2", "decoder_level1"),
        ("refinement", "refinement"),
        ("output", "output"),
    ],
    inner: &[("norm1", "norm1.body"), ("norm2", "norm2.body")],
};

impl KeyMap {
    /// Their name of our parameter `ours`.
    pub fn theirs(&self, ours: &str) -> String {
        let ours = ours.strip_prefix(self.root).unwrap_or(ours);
        let begins = |start: &str| {
            ours.strip_prefix(start)
                .filter(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let row = self
            .rows
            .iter()
            .find_map(|(start, theirs)| begins(start).map(|rest| format!("{theirs}{rest}")));
        let name = row.unwrap_or_else(|| ours.to_owned());
        let part = |part: &str| {
            let renamed = self.inner.iter().find(|(ours, _)| *ours == part);
            renamed.map_or(part, |(_, theirs)| theirs).to_owned()
        };
        name.split('.').map(part).collect::<Vec<_>>().join(".")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_published_files() {
        for (ours, theirs) in [
            ("cls_token", "cls_token"),
            ("patch_embed.bias", "patch_embed.proj.bias"),
            ("blocks.10.ls2", "blocks.10.ls2.gamma"),
            ("blocks.0.mlp.w12.weight", "blocks.0.mlp.w12.weight"),
            ("norm.weight", "norm.weight"),
        ] {
            assert_eq!(DINOV2.theirs(ours), theirs);
        }
        for (ours, theirs) in [
            (
                "restormer.encoder.1.0.norm1.weight",
                "encoder_level2.0.norm1.body.weight",
            ),
            (
                "restormer.latent.7.attn.temperature",
                "latent.7.attn.temperature",
            ),
            ("restormer.up.2.conv.weight", "up2_1.body.0.weight"),
            (
                "restormer.decoder.0.5.ffn.dwconv.weight",
                "decoder_level3.5.ffn.dwconv.weight",
            ),
            ("restormer.patch_embed.weight", "patch_embed.proj.weight"),
        ] {
            assert_eq!(RESTORMER.theirs(ours), theirs);
        }
    }
}

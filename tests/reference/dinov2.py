"""DINOv2: tokens prepared here as Meta's code prepares them, blocks by timm."""

from functools import partial

import torch
from timm.layers import SwiGLUPacked
from timm.models.vision_transformer import VisionTransformer
from torch import nn

from resize import GRID, PATCH, position_resize


def swiglu_hidden(dim, ratio=4):
    """Two thirds of the ordinary hidden size, rounded up to a multiple of 8."""
    return (int(dim * ratio * 2 / 3) + 7) // 8 * 8


class DinoV2(nn.Module):
    def __init__(self, dim, depth, heads, registers=0, swiglu=False):
        super().__init__()
        # Without act_layer, timm's blocks hand SwiGLU their own default, GELU.
        silu = {"mlp_ratio": 2 * swiglu_hidden(dim) / dim, "mlp_layer": SwiGLUPacked, "act_layer": nn.SiLU}
        kind = silu if swiglu else {}
        self.vit = VisionTransformer(
            img_size=PATCH * GRID, patch_size=PATCH, embed_dim=dim, depth=depth, num_heads=heads, num_classes=0,
            init_values=1.0, norm_layer=partial(nn.LayerNorm, eps=1e-6), reg_tokens=registers, no_embed_class=True, **kind,
        )
        # timm's own grid has no place for the class token here: ours has Meta's layout.
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + GRID * GRID, dim))
        self.registers, self.swiglu = registers, swiglu

    def tokens(self, x):
        """[N, 3, H, W], normalised -> [N, 1 + registers + patches, D]. The class token has a
        position, registers have none and go in after positions are added."""
        patches = self.vit.patch_embed.proj(x)
        n, dim, rows, columns = patches.shape
        grid = self.pos_embed[:, 1:].reshape(1, GRID, GRID, dim).permute(0, 3, 1, 2)
        patches = patches + position_resize(grid, rows, columns, self.registers > 0)
        parts = [(self.vit.cls_token + self.pos_embed[:, :1]).expand(n, -1, -1)]
        if self.registers:
            parts.append(self.vit.reg_token.expand(n, -1, -1))
        return torch.cat(parts + [patches.flatten(2).transpose(1, 2)], dim=1)

    def layers(self, x):
        """Tokens after each block, first block first; no final norm."""
        x = self.tokens(x)
        out = []
        for block in self.vit.blocks:
            x = block(x)
            out.append(x)
        return out

    def patch_tokens(self, x, block):
        """After `block` (from 1), without class and register tokens: [N, patches, D]."""
        return self.layers(x)[block - 1][:, 1 + self.registers:]

    def feature_maps(self, x, blocks):
        """After each of `blocks` (from 1): [N, D, H/14, W/14]."""
        rows, columns = x.shape[-2] // PATCH, x.shape[-1] // PATCH
        layers = self.layers(x)
        return [
            layers[b - 1][:, 1 + self.registers:].transpose(1, 2).unflatten(2, (rows, columns)) for b in blocks
        ]

    def named(self):
        """(our name, parameter) for every parameter."""
        for name, value in self.named_parameters():
            name = name.removeprefix("vit.").replace("reg_token", "register_tokens")
            name = name.replace("patch_embed.proj", "patch_embed").replace(".gamma", "")
            if self.swiglu:
                name = name.replace("mlp.fc1", "mlp.w12").replace("mlp.fc2", "mlp.w3")
            if name != "pos_embed" or value is self.pos_embed:
                yield name, value

"""The whole network: Restormer guided by a frozen DINOv2."""

from torch import nn

from dinov2 import DinoV2
from dr_fusion import DrFusion
from psf import Psf
from resize import dino_resize, imagenet_normalize
from restormer import Restormer


class DinoIr(nn.Module):
    def __init__(self, restormer, backbone, blocks, hidden, fused, stages, pixel_mean):
        """`restormer`, `backbone`: their options. `blocks`: shallow, medium, deep (from 1).
        `stages`: where the fusion acts, 1..3 = encoder levels, 4 = latent."""
        super().__init__()
        self.restormer = Restormer(**restormer)
        self.backbone = DinoV2(**backbone)
        self.psf = Psf(backbone["dim"], hidden, fused)
        self.dr_fusion = nn.ModuleList(
            DrFusion(fused, restormer["dim"] * 2 ** (stage - 1), pixel_mean) for stage in stages
        )
        self.blocks, self.stages = blocks, stages

    def features(self, image):
        return self.backbone.feature_maps(imagenet_normalize(dino_resize(image)), self.blocks)

    def forward(self, image, detach=False):
        """`detach`: no gradient flows to the image through the backbone."""
        features = self.features(image)
        if detach:
            features = [f.detach() for f in features]
        fused = self.psf(features)

        def guide(stage, x):
            if stage not in self.stages:
                return x
            return self.dr_fusion[self.stages.index(stage)](fused, x)

        return self.restormer(image, guide)

    def named(self):
        for name, value in self.named_parameters():
            if not name.startswith("backbone."):
                yield name, value
        for name, value in self.backbone.named():
            yield "backbone." + name, value

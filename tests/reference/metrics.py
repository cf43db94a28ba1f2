"""Writes pairs of photos, and what scikit-image and NumPy say of them under the three protocols.

    metrics.py FOLDER        prints JSON: suite -> protocol -> [PSNR, SSIM] of the input
"""

import json
import pathlib
import sys

import numpy as np
from PIL import Image
from scipy.ndimage import correlate1d
from skimage.metrics import peak_signal_noise_ratio, structural_similarity


def photos(folder):
    random = np.random.RandomState(7)
    for index, (height, width) in enumerate([(61, 83), (96, 80), (49, 64)]):
        y, x = np.mgrid[:height, :width]
        waves = [np.sin(x / (5 + c + index) + y / (9 - c)) + ((x // 9 + y // 7) % 2) * 0.6 for c in range(3)]
        clean = np.clip(120 + 50 * np.stack(waves, axis=-1), 0, 255).astype(np.uint8)
        dull = np.clip(0.9 * clean + random.randn(*clean.shape) * 9, 0, 255).astype(np.uint8)
        for kind, picture in [("input", dull), ("target", clean)]:
            (folder / kind).mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(folder / kind / f"{index}.png")
        yield clean, dull


def crop(image, base=16):
    height, width = image.shape[0] % base, image.shape[1] % base
    top, left = height // 2, width // 2
    return image[top:image.shape[0] - height + top, left:image.shape[1] - width + left]


def airnet(output, truth):
    output, truth = np.clip(output, 0, 1), truth / 255
    return [peak_signal_noise_ratio(truth, output, data_range=1),
            structural_similarity(truth, output, data_range=1, channel_axis=2)]


GAUSS = dict(gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255)


def restormer(output, truth):
    output, truth = np.clip(np.floor(output * 255 + 0.5), 0, 255), truth.astype(float)
    return [peak_signal_noise_ratio(truth, output, data_range=255),
            structural_similarity(truth, output, channel_axis=2, **GAUSS)]


def luma(output, truth):
    y = [np.floor(image @ [65.481, 128.553, 24.966] / 255 + 16.5)
         for image in (np.clip(np.floor(output * 255 + 0.5), 0, 255), truth.astype(float))]
    return [peak_signal_noise_ratio(y[1], y[0], data_range=255), structural_similarity(y[1], y[0], **GAUSS)]


def blurred(clean, sigma):
    taps = np.exp(-np.arange(-7, 8) ** 2 / (2 * sigma * sigma))
    taps /= taps.sum()
    image = correlate1d(clean / 255, taps, axis=1, mode="mirror")
    return np.floor(correlate1d(image, taps, axis=0, mode="mirror") * 255 + 0.5) / 255


def mean(scores):
    return np.mean(list(scores), axis=0).tolist()


def main(folder):
    pairs = list(photos(folder))
    cut = [(crop(clean), crop(dull)) for clean, dull in pairs]
    np.random.seed(0)  # once for the set
    noisy = [(clean, np.clip(clean + 25 * np.random.randn(*clean.shape), 0, 255).astype(np.uint8)) for clean, _ in cut]
    own = []
    for clean, _ in pairs:
        np.random.seed(0)  # for each photo
        own.append((clean, clean / 255 + 25 / 255 * np.random.randn(*clean.shape)))
    print(json.dumps({
        "pairs": {
            "airnet": mean(airnet(dull / 255, clean) for clean, dull in cut),
            "restormer": mean(restormer(dull / 255, clean) for clean, dull in pairs),
            "y": mean(luma(dull / 255, clean) for clean, dull in pairs),
        },
        "denoise": {
            "airnet": mean(airnet(dirty / 255, clean) for clean, dirty in noisy),
            "restormer": mean(restormer(dirty, clean) for clean, dirty in own),
        },
        "blur": {"airnet": mean(airnet(blurred(clean, 2.0), clean) for clean, _ in cut)},
    }))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))

"""The installed package, against the command's pixels: DINO_IR_COMMAND names the program, DINO_IR_PHOTO an 8-bit RGB PNG."""

import os
import subprocess
import threading

import numpy as np
import pytest
from PIL import Image, ImageCms

import dino_ir


@pytest.fixture(scope="module")
def photo():
    return np.asarray(Image.open(os.environ["DINO_IR_PHOTO"]).convert("RGB"))


@pytest.fixture(scope="module")
def restorer():
    return dino_ir.Restorer(device="cpu")


def test_equals_the_command(photo, restorer, tmp_path):
    out = tmp_path / "out.png"
    command = [os.environ["DINO_IR_COMMAND"], "restore", os.environ["DINO_IR_PHOTO"], "-o", str(out), "--device", "cpu"]
    subprocess.run(command, check=True)
    result = restorer.restore(photo)
    assert result.shape == photo.shape and result.dtype == np.uint8
    assert (result != photo).mean() > 0.1
    assert np.array_equal(result, np.asarray(Image.open(out)))


def test_types_agree(photo, restorer):
    part = photo[:80, 3:93]  # not contiguous
    expected = restorer.restore(part).astype(float) / 255
    wide = restorer.restore(part.astype(np.uint16) * 257)
    assert wide.dtype == np.uint16
    assert np.abs(wide / 65535 - expected).max() < 0.6 / 255
    other_order = (part.astype(np.uint16) * 257).astype(">u2")
    assert np.array_equal(restorer.restore(other_order), wide)
    floats = restorer.restore(part.astype(np.float32) / 255)
    assert floats.dtype == np.float32
    assert np.abs(np.clip(floats, 0, 1) - expected).max() < 0.6 / 255
    alpha = np.dstack([part, np.full(part.shape[:2], 77, np.uint8)])
    result = restorer.restore(alpha)
    assert (result[..., 3] == 77).all() and np.array_equal(result[..., :3], restorer.restore(part))
    grey = part[..., 0]
    assert restorer.restore(grey).shape == grey.shape
    assert np.array_equal(restorer.restore(grey), restorer.restore(np.dstack([grey] * 3))[..., 0])


def test_a_profile_says_what_the_colours_are(photo, restorer):
    part = photo[:80, :80]
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert np.array_equal(restorer.restore(part, icc=srgb), restorer.restore(part))
    with pytest.raises(ValueError, match="use one for grey"):
        restorer.restore(part[..., 0], icc=srgb)
    with pytest.raises(ValueError, match="damaged"):
        restorer.diagnose(part, icc=b"no profile")


def test_strength_0_is_the_input(photo):
    assert np.array_equal(dino_ir.restore(photo, strength=0.0, device="cpu"), photo)


def test_nothing_removed_is_the_input(photo, restorer):
    assert np.array_equal(restorer.restore(photo, only=[]), photo)
    assert np.array_equal(restorer.restore(photo[:64, :64], removal={"noise": 1.0}), restorer.restore(photo[:64, :64]))


def test_expected_errors(photo, restorer):
    part = photo[:64, 3:83]
    result, errors = restorer.restore_with_uncertainty(part)
    assert np.array_equal(result, restorer.restore(part))
    assert errors.shape == part.shape[:2] and errors.dtype == np.float32
    assert 0 < errors.min() < errors.max() < 0.5
    hidden = np.dstack([part, np.full(part.shape[:2], 255, np.uint8)])
    hidden[5, 7, 3] = 0
    of_hidden = dino_ir.restore_with_uncertainty(hidden, device="cpu", strength=0.5)[1]
    assert of_hidden[5, 7] == 0 and (of_hidden > 0).sum() == errors.size - 1
    with pytest.raises(ValueError, match="nothing is to be restored"):
        restorer.restore_with_uncertainty(part, strength=0.0)


def test_noise_is_found(restorer):
    y, x = np.mgrid[:224, :224]
    clean = (100 + 40 * np.sin(x / 30) + y / 4)[..., None] + [0, 10, 20]
    noisy = clean + np.random.default_rng(1).normal(0, 25, clean.shape)
    found = restorer.diagnose(noisy.clip(0, 255).astype(np.uint8))
    assert abs(found["faults"]["noise"] - 25) < 6 and not found["fine"]
    assert found["faults"].keys() == found["confidence"].keys() == {"noise", "blur", "rain", "haze", "jpeg"}
    assert all(0 <= value <= 1 for value in found["confidence"].values())
    with pytest.raises(ValueError):
        restorer.diagnose(np.zeros((0, 4), np.uint8))


def test_progress_and_cancelling(photo, restorer):
    calls = []
    restorer.restore(photo[:64, :64], progress=lambda done, total: calls.append((done, total)))
    assert calls[0][0] == 0 and calls[-1][0] == calls[-1][1]
    with pytest.raises(dino_ir.Cancelled):
        restorer.restore(photo, progress=lambda done, total: False)
    with pytest.raises(ZeroDivisionError):
        restorer.restore(photo, progress=lambda done, total: 1 // 0)


def test_other_threads_run_meanwhile(photo, restorer):
    turns, over = 0, threading.Event()

    def restore():
        restorer.restore(photo)
        over.set()

    thread = threading.Thread(target=restore)
    thread.start()
    while not over.wait(0.001):
        turns += 1
    thread.join()
    assert turns > 5


@pytest.mark.parametrize(
    ("array", "options", "error"),
    [
        (np.zeros((4, 4), np.int32), {}, ValueError),
        (np.zeros((4, 4, 5), np.uint8), {}, ValueError),
        (np.zeros(4, np.uint8), {}, ValueError),
        (np.zeros((0, 4), np.uint8), {}, ValueError),
        (np.full((4, 4), np.nan, np.float32), {}, ValueError),
        (np.zeros((4, 4), np.uint8), {"strength": 2.0}, ValueError),
        (np.zeros((4, 4), np.uint8), {"only": ["haz"]}, ValueError),
        (np.zeros((4, 4), np.uint8), {"removal": {"noise": 1.5}}, ValueError),
        (np.zeros((4, 4), np.uint8), {"only": ["haze"], "removal": {"noise": 0.5}}, ValueError),
        (np.zeros((300, 300), np.uint8), {"memory": 1000}, MemoryError),
        (np.zeros((4, 4), np.uint8), {"device": "abacus"}, ValueError),
        (np.zeros((4, 4), np.uint8), {"weights": "missing.safetensors"}, ValueError),
    ],
)
def test_bad_input_is_told(array, options, error):
    with pytest.raises(error) as raised:
        dino_ir.restore(array, **{"device": "cpu", **options})
    assert "\n" not in str(raised.value) and str(raised.value)

// DINO-IR photo restoration for C.
//
// Open a restorer, restore images, close it:
//
//     dino_ir_restorer *restorer = dino_ir_open(NULL, NULL);
//     int status = dino_ir_restore(restorer, &in, &out, NULL, NULL, NULL);
//     if (status != DINO_IR_STATUS_OK) fprintf(stderr, "%s\n", dino_ir_last_error());
//     dino_ir_close(restorer);
//
// Every function may be called from any thread. One restorer serves one call at a time.
//
// Made by cbindgen from the sources: do not edit.

#ifndef DINO_IR_H
#define DINO_IR_H

#include <stddef.h>
#include <stdint.h>

// The version of this interface. Programs made for another version must not use the library.
#define DINO_IR_ABI_VERSION 1

// What a call came to.
typedef enum {
  // All is well.
  DINO_IR_STATUS_OK = 0,
  // A pointer is NULL or misaligned, a structure has a wrong size, or a handle is not open.
  DINO_IR_STATUS_INVALID_ARGUMENT = 1,
  // The pixels described form no image, or the two images do not go together.
  DINO_IR_STATUS_INVALID_IMAGE = 2,
  // An option is out of its range.
  DINO_IR_STATUS_INVALID_OPTION = 3,
  // The work does not fit the memory allowed.
  DINO_IR_STATUS_OUT_OF_MEMORY = 4,
  // The weights cannot be read or used.
  DINO_IR_STATUS_WEIGHTS = 5,
  // The device is not there, or computes wrong values.
  DINO_IR_STATUS_DEVICE = 6,
  // The progress function asked to stop.
  DINO_IR_STATUS_CANCELLED = 7,
  // The restorer is at work in another call; open a second one.
  DINO_IR_STATUS_BUSY = 8,
  // A bug in the library.
  DINO_IR_STATUS_INTERNAL = 9,
} dino_ir_status;

// How a sample is stored, in the machine's own byte order. Values are sRGB-encoded,
// unless dino_ir_set_profile says otherwise.
typedef enum {
  // uint8_t, 0 to 255.
  DINO_IR_SAMPLE_U8 = 0,
  // uint16_t, 0 to 65535.
  DINO_IR_SAMPLE_U16 = 1,
  // float, nominally 0 to 1; results are not clamped.
  DINO_IR_SAMPLE_F32 = 2,
} dino_ir_sample;

// An open network on its device.
typedef struct dino_ir_restorer dino_ir_restorer;

// Pixels in memory: rows from the top, samples of a pixel side by side. A crop is a pointer to its
// first pixel with the stride of the whole. Rows and samples need no alignment. Alpha is straight
// (unassociated): colours are not multiplied with it. Where it is 0, or less, the pixel is hidden: its
// colours say nothing, and are kept as they are.
typedef struct {
  // sizeof(dino_ir_image).
  size_t struct_size;
  // The top left pixel. The input's pixels are only read.
  void *data;
  // Bytes from a row to the next, at least width * channels * bytes of a sample.
  size_t stride;
  // Columns, at least 1.
  uint32_t width;
  // Rows, at least 1.
  uint32_t height;
  // 1: grey, 2: grey and alpha, 3: RGB, 4: RGB and alpha.
  uint32_t channels;
  // A dino_ir_sample.
  uint32_t sample;
} dino_ir_image;

// How to restore. Set all of it to zero first, then `struct_size` and `strength`.
typedef struct {
  // sizeof(dino_ir_options).
  size_t struct_size;
  // Bytes that a restoration may allocate at its peak; 0: 1 GiB, but no limit for tiles of the side `tile`.
  // Both images and the weights (a few MiB) come on top.
  uint64_t memory;
  // 0 to 1: from the input, bit by bit, to the network's result.
  float strength;
  // Side of the tiles in pixels; 0: the largest that fits the memory. Below 256 it is taken as 256,
  // if that fits `memory`, unless `overlap` is given. For a photo in several tiles a calibration pass
  // comes first; on the CPU it may use larger tiles within `memory`, 1 GiB if that is 0.
  uint32_t tile;
  // Least overlap of neighbouring tiles in pixels; 0: an eighth of the tile, within 16..64.
  uint32_t overlap;
  // Anything but 0: the mean over 8 flips and rotations; better, and 8 times slower.
  uint32_t self_ensemble;
} dino_ir_options;

// Called at the beginning and after each run of the network, on the thread that restores; `done` of
// `total` runs are over, one or two for each tile, 8 or 16 with `self_ensemble`.
// Anything but 0 cancels. It must return (no longjmp, no C++ exception).
typedef int (*dino_ir_progress)(uint32_t done, uint32_t total, void *user);

// How much of each fault to remove, each 0, it stays, to 1. Set `struct_size`, and all others.
typedef struct {
  // sizeof(dino_ir_removal).
  size_t struct_size;
  // Of the noise.
  float noise;
  // Of the blur.
  float blur;
  // Of the rain.
  float rain;
  // Of the haze.
  float haze;
  // Of the traces of JPEG compression.
  float jpeg;
} dino_ir_removal;

// What is wrong with an image. Set `struct_size` before the call; the rest is filled in. A confidence is
// 0 to 1: the chance that the number before is off by less than 5 (noise), 0.5 (blur), 0.1 (rain),
// 0.15 (haze), or 15 (jpeg).
typedef struct {
  // sizeof(dino_ir_faults).
  size_t struct_size;
  // Standard deviation of the noise in 8-bit units, 0 to 75.
  float noise;
  // How sure that is.
  float noise_confidence;
  // Blur: the deviation in pixels of a Gaussian that spreads light as far, 0 to 4.
  float blur;
  // How sure that is.
  float blur_confidence;
  // Share of pixels that streaks of rain touch, 0 to 1.
  float rain;
  // How sure that is.
  float rain_confidence;
  // Haze: one minus the mean share of their own light that reaches us from the pixels, 0 to 1.
  float haze;
  // How sure that is.
  float haze_confidence;
  // Quality of JPEG compression, 1 to 100; 100: none.
  float jpeg;
  // How sure that is.
  float jpeg_confidence;
  // 1 if there is too little of everything to be called a fault, else 0.
  uint32_t fine;
} dino_ir_faults;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// The version of the interface that the library was built with; compare it with
// DINO_IR_ABI_VERSION.
uint32_t dino_ir_abi_version(void);

// Opens a weights file, or with NULL the weights inside the library, on a device: "auto", "cpu",
// "wgpu", "cuda" or "cuda:N"; NULL is "auto". Returns NULL on an error.
//
// # Safety
// Both arguments are NULL or zero-terminated strings.
dino_ir_restorer *dino_ir_open(const char *weights_path, const char *device);

// Says in which colours the images are that are given to `restorer` from now on: in those of an ICC profile, `size` bytes,
// of which the restorer keeps a copy. Values are then converted to sRGB for the network and back for the result. NULL and a
// size of 0: in sRGB again. Returns a dino_ir_status; DINO_IR_STATUS_INVALID_IMAGE for a profile that is damaged or
// cannot be inverted (tables instead of curves and a matrix, inks, high dynamic range): the colours are then those of
// before. An image that the profile is not for, grey or in colours, is refused where it is given.
//
// # Safety
// `icc` is NULL or points to `size` bytes.
int dino_ir_set_profile(dino_ir_restorer *restorer,
                        const void *icc,
                        size_t size);

// Restores `in` into `out`, which has the same width, height and channels and shares no memory
// with it (crops of one buffer do, also side by side). Alpha is copied. `options` NULL: full strength, automatic tiles. `progress` may be NULL;
// `user` is handed to it. Returns a dino_ir_status; unless that is OK, what `out` holds is undefined.
//
// # Safety
// The structures are as their documentation says, and nobody else writes to the pixels meanwhile.
int dino_ir_restore(dino_ir_restorer *restorer,
                    const dino_ir_image *in,
                    dino_ir_image *out,
                    const dino_ir_options *options,
                    dino_ir_progress progress,
                    void *user);

// As dino_ir_restore, with as much of each fault removed as `removal` says; NULL: all of all of them. Weights that cannot
// do that: DINO_IR_STATUS_INVALID_OPTION.
//
// # Safety
// As for dino_ir_restore.
int dino_ir_restore_only(dino_ir_restorer *restorer,
                         const dino_ir_image *in,
                         dino_ir_image *out,
                         const dino_ir_options *options,
                         const dino_ir_removal *removal,
                         dino_ir_progress progress,
                         void *user);

// As dino_ir_restore_only, and fills `map` with the expected absolute error of each pixel of the network's own result,
// mean over red, green and blue, in the measure of samples: 0.02 as a float is 5 as uint8_t. `map` has the width and height of
// `in`, one channel, and memory of its own; it is 0 where alpha hides the pixel. Neither `strength` nor `removal` changes the
// map. With nothing to restore (a strength of 0, or nothing to be removed), or weights that cannot tell:
// DINO_IR_STATUS_INVALID_OPTION. Unless the status is OK, what `map` holds is undefined, too.
//
// # Safety
// As for dino_ir_restore.
int dino_ir_restore_with_uncertainty(dino_ir_restorer *restorer,
                                     const dino_ir_image *in,
                                     dino_ir_image *out,
                                     dino_ir_image *map,
                                     const dino_ir_options *options,
                                     const dino_ir_removal *removal,
                                     dino_ir_progress progress,
                                     void *user);

// Says what is wrong with `image`, judged by a few windows of it; nothing is restored. Returns a
// dino_ir_status; unless that is OK, `faults` is as before. Weights without a diagnosis:
// DINO_IR_STATUS_WEIGHTS.
//
// # Safety
// The structures are as their documentation says, and nobody writes to the pixels meanwhile.
int dino_ir_diagnose(dino_ir_restorer *restorer,
                     const dino_ir_image *image,
                     dino_ir_faults *faults);

// What went wrong in the last call on this thread that failed: one line of UTF-8 that says what to
// do, empty before any failure. After dino_ir_open succeeded: why faster devices were not taken for
// "auto", else empty. Never NULL; valid until the next failure or dino_ir_open on this thread, or the
// thread's end.
const char *dino_ir_last_error(void);

// Closes a restorer; NULL and restorers that are closed already are left alone. A call that still
// runs on another thread ends as usual.
void dino_ir_close(dino_ir_restorer *restorer);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* DINO_IR_H */

#ifndef C_IMAGES_H
#define C_IMAGES_H

#include <stddef.h>
#include <stdint.h>

// JPEG and PNG into 8-bit RGB with the pixels that Pillow's Image.open(…).convert("RGB") gives.
// libjpeg-turbo and libpng report errors by longjmp; nothing jumps past these functions.

typedef enum {
  COMD_IMAGE_OK = 0,
  COMD_IMAGE_UNKNOWN,    // neither JPEG nor PNG
  COMD_IMAGE_TRUNCATED,  // the bytes end before the picture does
  COMD_IMAGE_DAMAGED,    // the library's own words are in `message`
  COMD_IMAGE_OVER_LIMIT, // more pixels than allowed
  COMD_IMAGE_NO_MEMORY,
} comd_image_status;

typedef struct {
  uint32_t width;
  uint32_t height;
  char message[200];
} comd_image_info;

// Reads the size of a picture. `info` is filled on success; `info->message` on failure.
comd_image_status comd_image_size(
    const uint8_t *bytes, size_t count, uint64_t pixels_max, comd_image_info *info);

// Decodes into `rgb`, (height, width, 3), which must hold `rgb_count` = 3 · width · height bytes
// for the size that comd_image_size gave; anything else is COMD_IMAGE_DAMAGED.
comd_image_status comd_image_decode(
    const uint8_t *bytes, size_t count, uint8_t *rgb, size_t rgb_count, comd_image_info *info);

// Encodes (height, width, 3) RGB as PNG into `png`, which has room for `*png_count` bytes; sets
// `*png_count` to the bytes it takes. Called with `png` null it only says how many bytes are
// enough.
comd_image_status comd_png_encode(
    const uint8_t *rgb, uint32_t width, uint32_t height, uint8_t *png, size_t *png_count);

// For each of `positions` output pixels or rows: which source pixels or rows it is a weighted sum
// of. Weights are fixed-point numbers with COMD_RESAMPLE_BITS bits behind the point.
enum { COMD_RESAMPLE_BITS = 22 };

typedef struct {
  size_t positions;
  size_t stride;           // of `weights`
  const int32_t *starts;   // (positions)
  const int32_t *counts;   // (positions), at most `stride`
  const int32_t *weights;  // (positions, stride)
} comd_taps;

// (height, width, 3) to (height, positions, 3).
void comd_resample_across(
    uint8_t *target, const uint8_t *source, size_t width, size_t height, const comd_taps *taps);

// Rows of `row_bytes` to (positions, row_bytes).
void comd_resample_down(
    uint8_t *target, const uint8_t *source, size_t row_bytes, const comd_taps *taps);

// (pixels, 3) to (3, pixels), each channel by its row of `levels`, (3, 256).
void comd_planes(float *target, const uint8_t *rgb, size_t pixels, const float *levels);

#endif

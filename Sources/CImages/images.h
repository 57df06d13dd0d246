#ifndef COMD_IMAGES_INTERNAL_H
#define COMD_IMAGES_INTERNAL_H

#include "CImages.h"

// One format's reader: `rgb` NULL reads the size alone, and `info` then receives it; otherwise
// `info` holds the size that the header must repeat.
comd_image_status comd_jpeg_read(
    const uint8_t *bytes, size_t count, uint8_t *rgb, comd_image_info *info);
comd_image_status comd_png_read(
    const uint8_t *bytes, size_t count, uint8_t *rgb, comd_image_info *info);

void comd_image_say(comd_image_info *info, const char *message);

#endif

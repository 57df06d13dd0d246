#include "CImages.h"

#include <png.h>
#include <string.h>

comd_image_status comd_png_encode(
    const uint8_t *rgb, uint32_t width, uint32_t height, uint8_t *png, size_t *png_count) {
  png_image image;
  memset(&image, 0, sizeof image);
  image.version = PNG_IMAGE_VERSION;
  image.width = width;
  image.height = height;
  image.format = PNG_FORMAT_RGB;
  if (png == NULL) {
    *png_count = PNG_IMAGE_PNG_SIZE_MAX(image);
    return COMD_IMAGE_OK;
  }
  png_alloc_size_t count = *png_count;
  if (!png_image_write_to_memory(&image, png, &count, 0, rgb, 0, NULL)) {
    return COMD_IMAGE_DAMAGED;
  }
  *png_count = count;
  return COMD_IMAGE_OK;
}

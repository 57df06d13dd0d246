#include "images.h"

#include <string.h>

typedef comd_image_status (*reader)(const uint8_t *, size_t, uint8_t *, comd_image_info *);

static reader reader_for(const uint8_t *bytes, size_t count) {
  static const uint8_t png[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};
  if (count >= 3 && bytes[0] == 0xFF && bytes[1] == 0xD8 && bytes[2] == 0xFF) return comd_jpeg_read;
  if (count >= sizeof png && memcmp(bytes, png, sizeof png) == 0) return comd_png_read;
  return NULL;
}

void comd_image_say(comd_image_info *info, const char *message) {
  strncpy(info->message, message, sizeof info->message - 1);
  info->message[sizeof info->message - 1] = 0;
}

comd_image_status comd_image_size(
    const uint8_t *bytes, size_t count, uint64_t pixels_max, comd_image_info *info) {
  memset(info, 0, sizeof *info);
  reader read = reader_for(bytes, count);
  if (read == NULL) return COMD_IMAGE_UNKNOWN;
  comd_image_status status = read(bytes, count, NULL, info);
  if (status != COMD_IMAGE_OK) return status;
  if ((uint64_t)info->width * info->height > pixels_max) return COMD_IMAGE_OVER_LIMIT;
  return COMD_IMAGE_OK;
}

comd_image_status comd_image_decode(
    const uint8_t *bytes, size_t count, uint8_t *rgb, size_t rgb_count, comd_image_info *info) {
  comd_image_status status = comd_image_size(bytes, count, UINT64_MAX, info);
  if (status != COMD_IMAGE_OK) return status;
  if ((uint64_t)info->width * info->height * 3 != rgb_count) {
    comd_image_say(info, "the picture has another size than its header said");
    return COMD_IMAGE_DAMAGED;
  }
  return reader_for(bytes, count)(bytes, count, rgb, info);
}

#include "images.h"

#include <setjmp.h>
#include <stdio.h>

#include <jpeglib.h>
// Beside the message codes, which jpeglib.h leaves out.
#include <jerror.h>

// A progressive file may announce any number of scans over all pixels; pictures have a dozen.
enum { scans_max = 200 };

struct errors {
  struct jpeg_error_mgr base;
  jmp_buf back;
  comd_image_status status;
  comd_image_info *info;
};

static void fail(j_common_ptr common, comd_image_status status, const char *message) {
  struct errors *errors = (struct errors *)common->err;
  errors->status = status;
  comd_image_say(errors->info, message);
  longjmp(errors->back, 1);
}

static void error_exit(j_common_ptr common) {
  char message[JMSG_LENGTH_MAX];
  common->err->format_message(common, message);
  int no_memory = common->err->msg_code == JERR_OUT_OF_MEMORY;
  fail(common, no_memory ? COMD_IMAGE_NO_MEMORY : COMD_IMAGE_DAMAGED, message);
}

// Warnings are let pass, as Pillow does, but for the end of the bytes before the end of the
// picture.
static void emit_message(j_common_ptr common, int level) {
  if (level < 0 && common->err->msg_code == JWRN_JPEG_EOF)
    fail(common, COMD_IMAGE_TRUNCATED, "the file ends before the picture does");
}

static void monitor_scans(j_common_ptr common) {
  if (common->is_decompressor && ((j_decompress_ptr)common)->input_scan_number > scans_max)
    fail(common, COMD_IMAGE_DAMAGED, "more than 200 scans");
}

static uint8_t multiply_255(unsigned a, unsigned b) {
  unsigned product = a * b + 128;
  return (uint8_t)((product + (product >> 8)) >> 8);
}

// Pillow takes every CMYK JPEG for an inverted one, as Adobe writes them: the stored value is
// 255 − ink, so that colour · black / 255 remains.
static void cmyk_row_to_rgb(const uint8_t *cmyk, uint8_t *rgb, size_t width) {
  for (size_t x = 0; x < width; x++) {
    unsigned black = cmyk[4 * x + 3];
    for (int c = 0; c < 3; c++)
      rgb[3 * x + c] = (uint8_t)(black - multiply_255(255u - cmyk[4 * x + c], black));
  }
}

comd_image_status comd_jpeg_read(
    const uint8_t *bytes, size_t count, uint8_t *rgb, comd_image_info *info) {
  struct jpeg_decompress_struct decoder;
  struct jpeg_progress_mgr progress = {.progress_monitor = monitor_scans};
  struct errors errors = {.status = COMD_IMAGE_OK, .info = info};
  decoder.err = jpeg_std_error(&errors.base);
  errors.base.error_exit = error_exit;
  errors.base.emit_message = emit_message;
  if (setjmp(errors.back)) {
    jpeg_destroy_decompress(&decoder);
    return errors.status;
  }
  jpeg_create_decompress(&decoder);
  decoder.progress = &progress;
  jpeg_mem_src(&decoder, bytes, count);
  jpeg_read_header(&decoder, TRUE);
  if (rgb == NULL) {
    info->width = decoder.image_width;
    info->height = decoder.image_height;
    jpeg_destroy_decompress(&decoder);
    return COMD_IMAGE_OK;
  }

  int is_cmyk = decoder.num_components == 4;
  decoder.out_color_space = is_cmyk ? JCS_CMYK : JCS_RGB;
  jpeg_start_decompress(&decoder);
  if (decoder.output_width != info->width || decoder.output_height != info->height ||
      decoder.output_components != (is_cmyk ? 4 : 3))
    fail((j_common_ptr)&decoder, COMD_IMAGE_DAMAGED, "the size changes within the file");
  size_t row_bytes = (size_t)info->width * 3;
  JSAMPARRAY cmyk = decoder.mem->alloc_sarray(
      (j_common_ptr)&decoder, JPOOL_IMAGE, is_cmyk ? info->width * 4 : 1, 1);
  while (decoder.output_scanline < decoder.output_height) {
    uint8_t *row = rgb + row_bytes * decoder.output_scanline;
    JSAMPROW direct[1] = {row};
    jpeg_read_scanlines(&decoder, is_cmyk ? cmyk : direct, 1);
    if (is_cmyk) cmyk_row_to_rgb(cmyk[0], row, info->width);
  }
  jpeg_finish_decompress(&decoder);
  jpeg_destroy_decompress(&decoder);
  return COMD_IMAGE_OK;
}

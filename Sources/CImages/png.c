#include "images.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <png.h>

struct source {
  const uint8_t *bytes;
  size_t left;
  comd_image_status status;
  comd_image_info *info;
};

static void fail(png_structp png, png_const_charp message) {
  struct source *source = png_get_error_ptr(png);
  if (source->status == COMD_IMAGE_OK) source->status = COMD_IMAGE_DAMAGED;
  comd_image_say(source->info, message);
  png_longjmp(png, 1);
}

static void ignore_warning(png_structp png, png_const_charp message) {
  (void)png;
  (void)message;
}

static void take(png_structp png, png_bytep target, size_t count) {
  struct source *source = png_get_io_ptr(png);
  if (count > source->left) {
    source->status = COMD_IMAGE_TRUNCATED;
    png_error(png, "the file ends before the picture does");
  }
  memcpy(target, source->bytes, count);
  source->bytes += count;
  source->left -= count;
}

// Pixels as stored, 8 or 16 bits a sample, into RGB; alpha is dropped, as convert("RGB") does.
struct layout {
  int channels;         // stored, 1…4
  int bytes_per_sample; // 1 or 2
  png_colorp palette;   // or NULL
  int palette_count;
};

static void row_to_rgb(const uint8_t *row, uint8_t *rgb, size_t width, struct layout layout) {
  size_t pixel_bytes = (size_t)layout.channels * layout.bytes_per_sample;
  for (size_t x = 0; x < width; x++, row += pixel_bytes, rgb += 3) {
    if (layout.palette != NULL) {
      png_color black = {0, 0, 0};
      png_color color = row[0] < layout.palette_count ? layout.palette[row[0]] : black;
      rgb[0] = color.red, rgb[1] = color.green, rgb[2] = color.blue;
    } else if (layout.channels >= 3) {
      // The upper byte of 16 bits.
      for (int c = 0; c < 3; c++) rgb[c] = row[c * layout.bytes_per_sample];
    } else if (layout.channels == 1 && layout.bytes_per_sample == 2) {
      // Pillow's 16-bit grey becomes 8-bit by clipping, not by scaling.
      rgb[0] = rgb[1] = rgb[2] = row[0] != 0 ? 255 : row[1];
    } else {
      rgb[0] = rgb[1] = rgb[2] = row[0];
    }
  }
}

static void read_pixels(png_structp png, png_infop header, uint8_t *rgb, uint8_t *volatile *rows) {
  struct source *source = png_get_error_ptr(png);
  size_t width = source->info->width, height = source->info->height;
  struct layout layout = {.palette = NULL};
  if (png_get_color_type(png, header) == PNG_COLOR_TYPE_PALETTE) {
    if (!png_get_PLTE(png, header, &layout.palette, &layout.palette_count))
      png_error(png, "a palette picture without a palette");
    png_set_packing(png);
  } else if (png_get_bit_depth(png, header) < 8) {
    png_set_expand_gray_1_2_4_to_8(png);
  }
  int passes = png_set_interlace_handling(png);
  png_read_update_info(png, header);
  layout.channels = png_get_channels(png, header);
  layout.bytes_per_sample = png_get_bit_depth(png, header) / 8;
  size_t row_bytes = png_get_rowbytes(png, header);
  if (row_bytes != width * layout.channels * layout.bytes_per_sample)
    png_error(png, "rows of an unexpected length");

  // Interlaced pictures come in passes over all rows and need them all; others one at a time.
  size_t kept = passes > 1 ? height : 1;
  *rows = calloc(kept, row_bytes);
  if (*rows == NULL) {
    source->status = COMD_IMAGE_NO_MEMORY;
    png_error(png, "no memory for the rows");
  }
  for (int pass = 0; pass < passes; pass++) {
    for (size_t y = 0; y < height; y++) {
      uint8_t *row = *rows + (passes > 1 ? y * row_bytes : 0);
      png_read_row(png, row, NULL);
      if (pass == passes - 1) row_to_rgb(row, rgb + y * width * 3, width, layout);
    }
  }
  png_read_end(png, NULL);
}

comd_image_status comd_png_read(
    const uint8_t *bytes, size_t count, uint8_t *rgb, comd_image_info *info) {
  struct source source = {.bytes = bytes, .left = count, .status = COMD_IMAGE_OK, .info = info};
  uint8_t *volatile rows = NULL;
  png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &source, fail, ignore_warning);
  if (png == NULL) return COMD_IMAGE_NO_MEMORY;
  png_infop header = png_create_info_struct(png);
  if (header == NULL) {
    png_destroy_read_struct(&png, NULL, NULL);
    return COMD_IMAGE_NO_MEMORY;
  }
  if (setjmp(png_jmpbuf(png))) {
    png_destroy_read_struct(&png, &header, NULL);
    free(rows);
    return source.status;
  }
  png_set_read_fn(png, &source, take);
  // Comments and colour profiles are not looked at; a wrong one must not cost the picture.
  png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
  png_read_info(png, header);
  if (rgb == NULL) {
    info->width = png_get_image_width(png, header);
    info->height = png_get_image_height(png, header);
  } else if (png_get_image_width(png, header) != info->width ||
             png_get_image_height(png, header) != info->height) {
    png_error(png, "the size changes within the file");
  } else {
    read_pixels(png, header, rgb, &rows);
  }
  png_destroy_read_struct(&png, &header, NULL);
  free(rows);
  return source.status;
}

// The processor's registers of tiles (AMX): eight of at most 16 rows of 64 bytes. Included by the
// set that has them.
//
// Every use begins with `tiles_begin` and ends with `tiles_end`, so that the system need not keep
// their 8 KiB when it changes threads.

/// What the instruction that shapes tiles reads.
typedef struct {
  uint8_t palette, start, reserved[14];
  uint16_t row_bytes[16];
  uint8_t rows[16];
} tile_shapes;

/// Shapes all eight, and zeroes them.
INLINE void tiles_begin(const tile_shapes *shapes) { _tile_loadconfig(shapes); }

INLINE void tiles_end(void) { _tile_release(); }

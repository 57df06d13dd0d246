// All kernels of one instruction set. The includer has chosen:
//   SET        how the table of the set is named
//   WIDTH      floats in a register
//   TILE_ROWS  rows of the register tile of products, two registers wide
//   MATRIX_TILES  where there are registers of tiles
//   WIDE_ROWS  rows up to which the tile is four registers wide, to have enough chains in flight
#include "vector.h"

#include "elements.h"
#include "rows.h"
#include "tiles.h"

#include "codes.h"
#include "halfnumbers.h"

#if defined(MATRIX_TILES)
#include "matrix.h"
#endif

#include "products.h"

#include "halves.h"

#include "halfcodes.h"

#include "dots.h"

#include "scores.h"

#include "rate.h"

const ck_kernels SET(ck_kernels) = {
    .matmul = matmul,
    .round_rows = round_rows,
    .dots = dot_product,
    .dot_rows = DOT_ROWS,
    .half_rows = half_rows,
    .half_panels = half_panels,
    .half_product = half_product,
    .half_code_rows = half_code_rows,
    .half_code_panels = half_code_panels,
    .half_strip = HALF_ROWS,
    .half_bytes = HALF_BYTES,
    .pack = pack_panels,
    .panel = PANEL,
    .depth = DEPTH,
    .elements = elements,
    .adamw = adamw,
    .squares = squares,
    .rows = rows,
    .columns = columns,
    .rotate = rotate,
    .argmax = argmax,
    .cross_entropy = cross_entropy,
    .attention = attention,
    .pack_half_sides = pack_half_sides,
    .into_pages = into_pages,
    .attention_back = attention_back,
    .fma_rate = fma_rate,
    .half_rate = half_rate,
    .whole_rate = whole_rate,
};

#define SET(name) name##_portable
#define WIDTH 4
#define TILE_ROWS 6
#define WIDE_ROWS 3
#include "set.h"

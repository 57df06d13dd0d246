#ifndef COMD_CONEDNN_H
#define COMD_CONEDNN_H

#include <dnnl.h>

#endif

#ifndef COMD_COPENBLAS_H
#define COMD_COPENBLAS_H
#endif

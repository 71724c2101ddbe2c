#define ISA avx512
#define VBYTES 64
#define MR 14
#define NR 32
#define MC (24 * MR)
#define KC 256
#define NC (256 * NR)
#include "isa.inc"

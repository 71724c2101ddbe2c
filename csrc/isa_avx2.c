#define ISA avx2
#define VBYTES 32
#define MR 6
#define NR 16
#define MC (24 * MR)
#define KC 256
#define NC (256 * NR)
#include "isa.inc"

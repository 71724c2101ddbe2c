#define ISA neon
#define VBYTES 16
#define MR 8
#define NR 12
#define MC (24 * MR)
#define KC 256
#define NC (256 * NR)
#include "isa.inc"

#define ISA base
#define VBYTES 16
#define MR 6
#define NR 8
#define MC (24 * MR)
#define KC 256
#define NC (256 * NR)
#include "isa.inc"

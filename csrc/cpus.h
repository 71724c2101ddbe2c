/* How many CPUs this process may use. */
#ifndef PYDL_CPUS_H
#define PYDL_CPUS_H

#include <stddef.h>

size_t pd_cpu_count(void);       /* min(CPUs of the affinity mask, CPU quota of the cgroup), at least 1 */
size_t pd_default_threads(void); /* PYDL_NUM_THREADS, else OMP_NUM_THREADS, else pd_cpu_count() */
size_t pd_memory_bytes(void);    /* physical memory, or 0 where it is not known */

#endif

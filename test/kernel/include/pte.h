/*
 * pte.h: page-table entries: the hardware's bits, and what the kernel puts into entries that are not present.
 *
 *   present     hardware PTE, 4 KiB (or 2 MiB in a PDE with PTE_LARGE)
 *   transition  not present, PTE_TRANSITION: the page is in memory (PFN field), a fault maps it again (NT's word)
 *   demand zero not present, PTE_DEMAND_ZERO: a fault gives it a zeroed page
 *   guard       demand zero with PTE_GUARD: the first touch is a guard-page event
 */
#ifndef VMK_PTE_H
#define VMK_PTE_H

#define PTE_PRESENT 0x001ull
#define PTE_WRITE 0x002ull
#define PTE_USER 0x004ull
#define PTE_WRITE_THROUGH 0x008ull
#define PTE_CACHE_DISABLE 0x010ull
#define PTE_ACCESSED 0x020ull
#define PTE_DIRTY 0x040ull
#define PTE_LARGE 0x080ull
#define PTE_NO_EXECUTE 0x8000000000000000ull
#define PTE_PFN_MASK 0x000FFFFFFFFFF000ull
#define PTE_LARGE_PFN_MASK 0x000FFFFFFFE00000ull
#define PTE_HUGE_PFN_MASK 0x000FFFFFC0000000ull

#define PTE_GUARD 0x200ull
#define PTE_DEMAND_ZERO 0x400ull
#define PTE_TRANSITION 0x800ull

#define PTE_KERNEL_DATA (PTE_PRESENT | PTE_WRITE | PTE_ACCESSED | PTE_DIRTY | PTE_NO_EXECUTE)
#define PTE_TABLE (PTE_PRESENT | PTE_WRITE | PTE_ACCESSED | PTE_DIRTY)

#endif

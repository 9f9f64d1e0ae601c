/*
 * guard.h: keeps this process alive when a file that it has mapped is cut short under its hands.
 *
 * Touching a mapped page that its file no longer has raises SIGBUS. Our handler puts empty memory in the place of that page
 * and of all behind it, and notes that the mapping is lost; the instruction runs again and succeeds. Whoever has copied
 * asks guard_is_lost before it believes what it got.
 *
 *   fault at an address of ours      ─▶ mmap(MAP_FIXED) over [its page, end), lost = true, go on
 *   fault anywhere else              ─▶ the handler that was there before; without one, the process dies of it as ever
 *
 * Invariants: the handler takes no lock and calls nothing but mmap, sigaction and the handler before it; an area is removed
 * only when nobody touches it any more. The handler stays for good, and so does this library (-z nodelete).
 */
#ifndef VMKD_GUARD_H
#define VMKD_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct guard;

/* Guards the mapping [start, start + length), both multiples of the page size. NULL if there are too many of them. */
struct guard *guard_add(const uint8_t *start, size_t length);

/* Whether any of it was missing when it was touched. Stays so. */
bool guard_is_lost(const struct guard *guard);

/* Before the area is unmapped. NULL is nothing. */
void guard_remove(struct guard *guard);

#endif

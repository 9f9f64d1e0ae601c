/*
 * ranges.h: the ranges of one copy, as JavaScript gives them, made into pieces that are sure to lie inside.
 *
 * Invariants: each number is fetched once, for it may lie in memory that another thread writes; nothing is taken on trust.
 */
#ifndef VMKD_RANGES_H
#define VMKD_RANGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct piece {
  uint64_t offset;
  uint64_t length; /* never 0 */
};

struct ranges {
  const volatile double *offsets;
  const volatile uint32_t *lengths;
  size_t count;   /* of both, not yet taken */
  uint64_t limit; /* how many bytes there are */
  uint64_t room;  /* how many more may be copied */
};

/*
 * Takes ranges off the front and makes at most `most` pieces of them; neighbours become one piece, empty ranges none.
 * FALSE if a range does not lie inside [0, limit), its offset is no whole number, or there is no room for it.
 * `*bytes`: the length of the pieces together. Without a piece there is no range left.
 */
bool ranges_take(struct ranges *ranges, struct piece *pieces, size_t most, size_t *count, uint64_t *bytes);

#endif

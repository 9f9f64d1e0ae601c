/* ranges.c: see ranges.h. */

#include "ranges.h"

/* Up to here a double holds every whole number. */
#define LARGEST_EXACT 9007199254740992.0

static bool is_inside(double offset, uint64_t length, uint64_t limit, uint64_t *whole) {
  /* A NaN is in no order with anything. */
  if (!(offset >= 0.0 && offset <= LARGEST_EXACT)) return false;
  *whole = (uint64_t)offset;
  return (double)*whole == offset && length <= limit && *whole <= limit - length;
}

bool ranges_take(struct ranges *ranges, struct piece *pieces, size_t most, size_t *count, uint64_t *bytes) {
  *count = 0;
  *bytes = 0;
  while (ranges->count > 0) {
    double given = *ranges->offsets;
    uint32_t length = *ranges->lengths;
    uint64_t offset;
    if (!is_inside(given, length, ranges->limit, &offset) || length > ranges->room) return false;
    if (length > 0) {
      struct piece *last = *count > 0 ? &pieces[*count - 1] : NULL;
      if (last != NULL && last->offset + last->length == offset) {
        last->length += length;
      } else {
        if (*count == most) return true;
        pieces[(*count)++] = (struct piece){offset, length};
      }
    }
    ranges->offsets++;
    ranges->lengths++;
    ranges->count--;
    ranges->room -= length;
    *bytes += length;
  }
  return true;
}

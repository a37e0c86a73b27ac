/* bad_link: one direction of a connection in memory: frames in order, until it is cut and the rest is lost. */
#pragma once
#include "common/bytes.h"

#define BAD_LINK_FRAMES 8192                    /* under way at once; more ends the program */

struct bad_link { uint8_t *frame[BAD_LINK_FRAMES]; size_t bytes[BAD_LINK_FRAMES]; unsigned head, n; };

void bad_link_push(struct bad_link *l, struct bytes frame);     /* copies */
/* The oldest frame, to be freed by the caller; false if there is none. */
bool bad_link_pop(struct bad_link *l, uint8_t **ret, size_t *ret_n);
void bad_link_cut(struct bad_link *l);

/* push_json: the body of a push as jansson reads it: for all that push_form() declines, and to say what is wrong with a record. */
#pragma once
#include <jansson.h>

#include "agent/push_form.h"

/* What is wrong with a record stands in its `why`; whoever has `body` owns the strings.  Arrays in `a`.
 * False: not an object with 1 to PUSH_RECORDS_MAX records and nothing else, or (arena_failed) no memory. */
bool push_json(struct arena *a, const json_t *body, struct push_list *ret);

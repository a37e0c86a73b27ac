/* intent: is what a sender says well formed, whatever the kind?  (PROTOCOL.md, intent)
 *
 * Widths of ids and digests, word numbers within their lists, codes that pass their checks, items ascending, the id made at
 * created_at.  Which fields a kind must have is for the rules.  Pure. */
#pragma once
#include "proto/envelope.pb-c.h"

/* NULL, or the name of the first field that is not: a static text. */
const char *intent_check_form(const Shuyi__V1__Intent *i);

/* push_form: the body of a push, read without a tree.
 *
 * {"records": [{"op": "UPSERT" | "DELETE", "changed_at": time, "values": {name: text | null, ...}}, ...]} is nearly all that an
 * agent ever reads as JSON, and a tree of it costs thirteen microseconds a record, half of them the allocator's: as much as all
 * else that the provider does with it.  So this reads that one form, strictly, and steps aside at anything else: what it accepts,
 * jansson accepts and reads the same (tests/fuzz/fuzz_push_form.c); what it declines is for push_json() to judge, and to say what
 * is wrong with it.  Pure. */
#pragma once
#include "agent/view.h"
#include "common/arena.h"

#define PUSH_RECORDS_MAX 10000

/* One record of a push, as view_record() takes it; or what keeps it from being one. */
struct push_record { struct view_input in; const char *why; };
struct push_list { struct push_record *records; size_t n; };

/* False: not exactly the form, or the arena is full; what it took of it stays taken until the reset.  All in `a`. */
bool push_form(struct arena *a, struct bytes body, struct push_list *ret);

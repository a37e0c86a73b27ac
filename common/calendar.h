/* calendar: working days by the State Council's yearly notices (REGULATIONS 12).
 *
 * Loaded from the CSV of 12.2; a prefix count of working days makes a deadline O(log n).  Years beyond the file fall
 * back to Monday-Friday and are PROVISIONAL.  Pure; immutable once loaded; any thread. */
#pragma once
#include "common/bytes.h"
#include "common/times.h"

struct calendar;

/* NULL and, at `ret_error` (may be NULL; 160 bytes), line and what is wrong. */
struct calendar *calendar_parse(struct bytes csv, char *ret_error);
void calendar_free(struct calendar *c);         /* NULL is fine */
struct digest calendar_digest(struct bytes csv);

bool calendar_is_workday(const struct calendar *c, day_number d);
bool calendar_covers(const struct calendar *c, day_number d);   /* false: what depends on d is PROVISIONAL */
/* The n-th working day after `base` (base itself is not counted); base if n is 0. */
day_number calendar_add_workdays(const struct calendar *c, day_number base, uint32_t n);
/* Last working day before `d`. */
day_number calendar_previous_workday(const struct calendar *c, day_number d);
/* due_end: 00:00 Shanghai of the day after the n-th working day; in time iff event < due_end (12.1). */
struct wall_time calendar_due_end(const struct calendar *c, day_number base, uint32_t n);
/* 12.5: the same day of the following month, or its last day. */
day_number calendar_add_months(day_number d, uint32_t months);

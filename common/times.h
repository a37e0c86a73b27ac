/* times: instants that cannot be mistaken for each other.
 *
 * wall_time is UTC in milliseconds since 1970, as it stands on the wire; mono_time is CLOCK_BOOTTIME in
 * nanoseconds and never leaves the process.  They are structs so that they cannot be added up.
 * Only shells read clocks (times_wall, times_mono); the core takes time from the entry. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct wall_time { uint64_t ms; };
struct mono_time { uint64_t ns; };

#define SHANGHAI_OFFSET_MS (8 * 3600 * 1000ull)         /* no daylight saving (REGULATIONS 12.1) */
#define DAY_MS (24 * 3600 * 1000ull)

/* Days since 1970-01-01, in Shanghai. */
typedef int32_t day_number;

struct wall_time times_wall(void);              /* reads the clock: shell only */
struct mono_time times_mono(void);              /* reads the clock: shell only */

day_number times_shanghai_day(struct wall_time t);
struct wall_time times_day_start(day_number d);         /* 00:00 of that day in Shanghai */
day_number times_day_from_date(int year, int month, int day);   /* proleptic Gregorian; date must exist */
void times_date_from_day(day_number d, int *ret_year, int *ret_month, int *ret_day);
int times_weekday(day_number d);                /* 0 Monday .. 6 Sunday */
bool times_date_exists(int year, int month, int day);

/* "YYYY-MM-DD" exactly. */
bool times_parse_date(const char *text, day_number *ret);
void times_format_date(day_number d, char ret[11]);

/* RFC 3339 in UTC with milliseconds: "2026-02-12T02:00:00.000Z". */
void times_format_utc(struct wall_time t, char ret[25]);
bool times_parse_utc(const char *text, struct wall_time *ret);  /* milliseconds may be missing */
/* "2026-02-12 10:00:00" in Shanghai, for people. */
void times_format_shanghai(struct wall_time t, char ret[20]);

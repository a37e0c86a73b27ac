/* calendar: a prefix count of working days over the years of the file, and Monday to Friday around it.
 *
 * worked_before(d) grows by one with every working day, so the n-th working day after a base is where it has
 * grown by n: a binary search, though the count itself takes a lookup or a formula.  Pure. */
#include "common/calendar.h"
#include "common/digest.h"
#include "common/macro.h"
#include <stdio.h>
#include <stdlib.h>

#define ERROR_BYTES 160
#define YEAR_FIRST 2000                         /* bounds what a file can make us allocate */
#define YEAR_LAST 2199

enum mark { MARK_NONE, MARK_HOLIDAY, MARK_WORKDAY };

struct calendar {
        day_number first, end;                  /* 1 January of the first year; day after 31 December of the last */
        int year_first;
        bool covered[YEAR_LAST - YEAR_FIRST + 1];       /* by year - year_first */
        uint32_t worked[];                      /* working days in [first, first + i), i to end - first */
};

struct row { day_number day; enum mark mark; };
struct rows { struct row *row; size_t n; };

/* Working days Monday to Friday before `d`, from a Monday in the past. */
static int64_t plain_before(int64_t d)
{
        int64_t x = d + 3;                      /* 1970-01-01 was a Thursday */
        int64_t week = x >= 0 ? x / 7 : (x - 6) / 7;
        int64_t rest = x - week * 7;

        return week * 5 + (rest < 5 ? rest : 5);
}

static int64_t worked_before(const struct calendar *c, int64_t d)
{
        if (d < c->first)
                return plain_before(d) - plain_before(c->first);
        if (d <= c->end)
                return c->worked[d - c->first];
        return c->worked[c->end - c->first] + plain_before(d) - plain_before(c->end);
}

bool calendar_is_workday(const struct calendar *c, day_number d)
{
        return worked_before(c, (int64_t)d + 1) > worked_before(c, d);
}

bool calendar_covers(const struct calendar *c, day_number d)
{
        int year, month, day;

        if (d < c->first || d >= c->end)
                return false;
        times_date_from_day(d, &year, &month, &day);
        return c->covered[year - c->year_first];
}

day_number calendar_add_workdays(const struct calendar *c, day_number base, uint32_t n)
{
        int64_t from = base > c->end ? base : c->end, low = base, high, wanted;

        if (n == 0)
                return base;
        high = from + (int64_t)n / 5 * 7 + 10;  /* far enough: beyond the file every week has five */
        wanted = worked_before(c, (int64_t)base + 1) + n;
        while (low + 1 < high) {                /* the answer lies in (low, high] */
                int64_t middle = low + (high - low) / 2;

                if (worked_before(c, middle + 1) >= wanted)
                        high = middle;
                else
                        low = middle;
        }
        return high > INT32_MAX ? INT32_MAX : (day_number)high;
}

day_number calendar_previous_workday(const struct calendar *c, day_number d)
{
        do {
                d--;
        } while (!calendar_is_workday(c, d));
        return d;
}

struct wall_time calendar_due_end(const struct calendar *c, day_number base, uint32_t n)
{
        day_number due = calendar_add_workdays(c, base, n);

        return times_day_start(due == INT32_MAX ? due : due + 1);
}

day_number calendar_add_months(day_number d, uint32_t months)
{
        int year, month, day;
        int64_t count;

        times_date_from_day(d, &year, &month, &day);
        count = (int64_t)year * 12 + month - 1 + months;
        if (count / 12 > 9999)
                return times_day_from_date(9999, 12, 31);
        year = (int)(count / 12);
        month = (int)(count % 12) + 1;
        while (!times_date_exists(year, month, day))
                day--;
        return times_day_from_date(year, month, day);
}

struct digest calendar_digest(struct bytes csv)
{
        return DIGEST_OF(CTX_CALENDAR, csv);
}

void calendar_free(struct calendar *c)
{
        free(c);
}

/* Takes one line off the front, without its LF; false if there is no whole line. */
static bool take_line(struct bytes *csv, struct bytes *ret)
{
        const uint8_t *lf = csv->n ? memchr(csv->p, '\n', csv->n) : NULL;

        if (!lf)
                return false;
        *ret = bytes_of(csv->p, (size_t)(lf - csv->p));
        csv->p += ret->n + 1;
        csv->n -= ret->n + 1;
        return true;
}

static struct bytes take_cell(struct bytes *line)
{
        const uint8_t *comma = line->n ? memchr(line->p, ',', line->n) : NULL;
        struct bytes cell = bytes_of(line->p, comma ? (size_t)(comma - line->p) : line->n);
        size_t skip = comma ? cell.n + 1 : cell.n;

        line->p += skip;
        line->n -= skip;
        return cell;
}

static bool name_check(struct bytes name)
{
        for (size_t i = 0; i < name.n; i++)
                if (name.p[i] < ' ' || name.p[i] == ',' || name.p[i] == '"' || name.p[i] == 0x7f)
                        return false;
        return name.n > 0 && utf8_check(name);
}

static bool date_check(struct bytes cell, day_number *ret)
{
        char text[11] = "";
        int year, month, day;

        if (cell.n != 10)
                return false;
        memcpy(text, cell.p, 10);
        if (!times_parse_date(text, ret))
                return false;
        times_date_from_day(*ret, &year, &month, &day);
        return year >= YEAR_FIRST && year <= YEAR_LAST;
}

/* One row; NULL or what is wrong with it. */
static const char *parse_row(struct bytes line, const struct row *last, struct row *ret)
{
        struct bytes date = take_cell(&line), kind = take_cell(&line);

        if (!date_check(date, &ret->day))
                return "no date from 2000 to 2199 in the form YYYY-MM-DD";
        if (last && ret->day == last->day)
                return "the same date again";
        if (last && ret->day < last->day)
                return "dates not sorted";
        if (bytes_equal(kind, bytes_str("holiday")))
                ret->mark = MARK_HOLIDAY;
        else if (bytes_equal(kind, bytes_str("workday")))
                ret->mark = MARK_WORKDAY;
        else
                return "kind is neither holiday nor workday";
        if (ret->mark == MARK_WORKDAY && times_weekday(ret->day) < 5)
                return "an adjusted working day that is no Saturday or Sunday";
        return name_check(line) ? NULL : "no name of the holiday, or not plain UTF-8";
}

/* All rows.  On failure the error is told and the rows are the caller's to free all the same. */
static bool parse_rows(struct bytes csv, struct rows *rows, char *ret_error)
{
        const char *wrong = "the header must be date,kind,name";
        size_t lines = 1, room = 0;
        struct bytes line;

        if (take_line(&csv, &line) && bytes_equal(line, bytes_str("date,kind,name"))) {
                for (wrong = NULL; !wrong && csv.n > 0;) {
                        lines++;
                        if (!take_line(&csv, &line)) {
                                wrong = "the last line does not end";
                                break;
                        }
                        if (rows->n == room) {
                                struct row *more = realloc(rows->row, (room = room ? room * 2 : 256) * sizeof(*more));

                                if (!more) {
                                        wrong = "out of memory";
                                        break;
                                }
                                rows->row = more;
                        }
                        wrong = parse_row(line, rows->n ? &rows->row[rows->n - 1] : NULL, &rows->row[rows->n]);
                        rows->n += !wrong;
                }
                if (!wrong && rows->n == 0)
                        wrong = "no rows";
        }
        if (wrong)
                snprintf(ret_error, ERROR_BYTES, "line %zu: %s", lines, wrong);
        return !wrong;
}

static void rows_fini(struct rows *rows)
{
        free(rows->row);
}

static enum mark find_mark(const struct rows *rows, day_number d)
{
        size_t low = 0, high = rows->n;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (rows->row[middle].day < d)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low < rows->n && rows->row[low].day == d ? rows->row[low].mark : MARK_NONE;
}

static struct calendar *build(const struct rows *rows)
{
        int first, last, month, day;
        struct calendar *c;
        day_number from, end;

        times_date_from_day(rows->row[0].day, &first, &month, &day);
        times_date_from_day(rows->row[rows->n - 1].day, &last, &month, &day);
        from = times_day_from_date(first, 1, 1);
        end = times_day_from_date(last + 1, 1, 1);
        c = calloc(1, sizeof(*c) + ((size_t)(end - from) + 1) * sizeof(c->worked[0]));
        if (!c)
                return NULL;
        c->first = from;
        c->end = end;
        c->year_first = first;
        for (day_number d = from; d < end; d++) {
                enum mark mark = find_mark(rows, d);
                bool works = mark ? mark == MARK_WORKDAY : times_weekday(d) < 5;

                c->worked[d - from + 1] = c->worked[d - from] + works;
        }
        return c;
}

/* Marks the covered years, and holds each against 12.3. */
static bool check_years(const struct rows *rows, struct calendar *c, char *ret_error)
{
        int year, month, day;

        times_date_from_day(c->end - 1, &year, &month, &day);
        for (; year >= c->year_first; year--) {
                enum mark january = find_mark(rows, times_day_from_date(year, 1, 1));

                c->covered[year - c->year_first] = january != MARK_NONE;
                if (january == MARK_WORKDAY) {
                        snprintf(ret_error, ERROR_BYTES, "year %d: 1 January is not a holiday", year);
                        return false;
                }
                for (day = 1; january && day <= 7; day++)
                        if (!find_mark(rows, times_day_from_date(year, 10, day))) {
                                snprintf(ret_error, ERROR_BYTES, "year %d: %d October is not listed", year, day);
                                return false;
                        }
        }
        return true;
}

struct calendar *calendar_parse(struct bytes csv, char *ret_error)
{
        _cleanup_(rows_fini) struct rows rows = { 0 };
        char unread[ERROR_BYTES];
        struct calendar *c;

        if (!ret_error)
                ret_error = unread;
        if (!parse_rows(csv, &rows, ret_error))
                return NULL;
        c = build(&rows);
        if (!c) {
                snprintf(ret_error, ERROR_BYTES, "out of memory");
                return NULL;
        }
        if (!check_years(&rows, c, ret_error)) {
                calendar_free(c);
                return NULL;
        }
        return c;
}

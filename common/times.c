/* times: the functions behind times.h.
 *
 * Any 64-bit number may come from outside as a time, so everything saturates: days at INT32_MAX, printed
 * dates at the end of the year 9999.  All but times_wall and times_mono are pure. */
#include "common/times.h"
#include <stdio.h>
#include <string.h>
#include <time.h>

#define YEAR_MAX 9999
#define DAY_OF_9999_12_31 2932896

struct wall_time times_wall(void)
{
        struct timespec t;

        clock_gettime(CLOCK_REALTIME, &t);
        return (struct wall_time){ (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000 };
}

struct mono_time times_mono(void)
{
        struct timespec t;

        clock_gettime(CLOCK_BOOTTIME, &t);
        return (struct mono_time){ (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec };
}

static day_number day_of(uint64_t ms)
{
        uint64_t d = ms / DAY_MS;

        return d > INT32_MAX ? INT32_MAX : (day_number)d;
}

day_number times_shanghai_day(struct wall_time t)
{
        return t.ms > UINT64_MAX - SHANGHAI_OFFSET_MS ? INT32_MAX : day_of(t.ms + SHANGHAI_OFFSET_MS);
}

struct wall_time times_day_start(day_number d)
{
        return (struct wall_time){ d <= 0 ? 0 : (uint64_t)d * DAY_MS - SHANGHAI_OFFSET_MS };
}

static bool is_leap(int year)
{
        return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

bool times_date_exists(int year, int month, int day)
{
        static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

        if (year < 1 || year > YEAR_MAX || month < 1 || month > 12 || day < 1)
                return false;
        return day <= days[month - 1] + (month == 2 && is_leap(year));
}

/* Both ways count from 1 March of the year 0, so that the leap day is the last of its year. */
#define DAYS_0000_03_01_TO_1970 719468
#define DAYS_IN_400_YEARS 146097

day_number times_day_from_date(int year, int month, int day)
{
        int64_t y = month <= 2 ? year - 1 : year;
        int64_t era = (y >= 0 ? y : y - 399) / 400;
        int64_t year_of_era = y - era * 400;
        int64_t day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
        int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;

        return (day_number)(era * DAYS_IN_400_YEARS + day_of_era - DAYS_0000_03_01_TO_1970);
}

void times_date_from_day(day_number d, int *ret_year, int *ret_month, int *ret_day)
{
        int64_t n = (int64_t)d + DAYS_0000_03_01_TO_1970;
        int64_t era = (n >= 0 ? n : n - DAYS_IN_400_YEARS + 1) / DAYS_IN_400_YEARS;
        int64_t day_of_era = n - era * DAYS_IN_400_YEARS;
        int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
        int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        int64_t month_from_march = (5 * day_of_year + 2) / 153;

        *ret_day = (int)(day_of_year - (153 * month_from_march + 2) / 5 + 1);
        *ret_month = (int)(month_from_march < 10 ? month_from_march + 3 : month_from_march - 9);
        *ret_year = (int)(year_of_era + era * 400 + (*ret_month <= 2));
}

int times_weekday(day_number d)
{
        return (int)((((int64_t)d + 3) % 7 + 7) % 7);           /* 1970-01-01 was a Thursday */
}

/* `n` digits at *p, which moves past them; -1 if they are not all there. */
static int take_number(const char **p, int n)
{
        int v = 0;

        for (; n > 0; n--, (*p)++) {
                if (**p < '0' || **p > '9')
                        return -1;
                v = v * 10 + (**p - '0');
        }
        return v;
}

static bool take_char(const char **p, char c)
{
        return **p == c ? (*p)++, true : false;
}

static bool take_date(const char **p, day_number *ret)
{
        int year, month, day;

        if ((year = take_number(p, 4)) < 0 || !take_char(p, '-') || (month = take_number(p, 2)) < 0 ||
            !take_char(p, '-') || (day = take_number(p, 2)) < 0 || !times_date_exists(year, month, day))
                return false;
        *ret = times_day_from_date(year, month, day);
        return true;
}

bool times_parse_date(const char *text, day_number *ret)
{
        day_number d;

        if (!take_date(&text, &d) || *text != '\0')
                return false;
        *ret = d;
        return true;
}

/* Writes "YYYY-MM-DD" without NUL, within the years that four digits can say. */
static void put_date(day_number d, char ret[10])
{
        int year, month, day;
        char text[48];

        if (d > DAY_OF_9999_12_31)
                d = DAY_OF_9999_12_31;
        times_date_from_day(d, &year, &month, &day);
        if (year < 0)
                year = 0;
        snprintf(text, sizeof(text), "%04d-%02d-%02d", year, month, day);
        memcpy(ret, text, 10);
}

static void put_clock(uint64_t ms_of_day, char ret[8])
{
        unsigned s = (unsigned)(ms_of_day / 1000);
        char text[48];

        snprintf(text, sizeof(text), "%02u:%02u:%02u", s / 3600, s / 60 % 60, s % 60);
        memcpy(ret, text, 8);
}

void times_format_date(day_number d, char ret[11])
{
        put_date(d, ret);
        ret[10] = '\0';
}

void times_format_utc(struct wall_time t, char ret[25])
{
        put_date(day_of(t.ms), ret);
        ret[10] = 'T';
        put_clock(t.ms % DAY_MS, ret + 11);
        ret[19] = '.';
        ret[20] = (char)('0' + t.ms % 1000 / 100);
        ret[21] = (char)('0' + t.ms % 100 / 10);
        ret[22] = (char)('0' + t.ms % 10);
        ret[23] = 'Z';
        ret[24] = '\0';
}

bool times_parse_utc(const char *text, struct wall_time *ret)
{
        int hour, minute, second, ms = 0;
        day_number d;

        if (!take_date(&text, &d) || d < 0 || !take_char(&text, 'T') || (hour = take_number(&text, 2)) < 0 ||
            !take_char(&text, ':') || (minute = take_number(&text, 2)) < 0 || !take_char(&text, ':') ||
            (second = take_number(&text, 2)) < 0 || hour > 23 || minute > 59 || second > 59)
                return false;
        if (take_char(&text, '.') && (ms = take_number(&text, 3)) < 0)
                return false;
        if (!take_char(&text, 'Z') || *text != '\0')
                return false;
        ret->ms = (uint64_t)d * DAY_MS + (uint64_t)((hour * 60 + minute) * 60 + second) * 1000 + (uint64_t)ms;
        return true;
}

void times_format_shanghai(struct wall_time t, char ret[20])
{
        uint64_t ms = t.ms > UINT64_MAX - SHANGHAI_OFFSET_MS ? UINT64_MAX : t.ms + SHANGHAI_OFFSET_MS;

        put_date(day_of(ms), ret);
        ret[10] = ' ';
        put_clock(ms % DAY_MS, ret + 11);
        ret[19] = '\0';
}

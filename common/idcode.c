/* idcode: the checks of REGULATIONS 5.3 in its order, the first that fails is the answer.  Pure. */
#include "common/idcode.h"

#define CODE_CHARACTERS 18

static bool is_digit(uint8_t c)
{
        return c >= '0' && c <= '9';
}

static bool all_digits(const uint8_t *p, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (!is_digit(p[i]))
                        return false;
        return true;
}

/* Length counts characters, so a full-width digit is a matter of charset; whatever is not ASCII fails there. */
static const char *check_length(struct bytes text)
{
        size_t characters = 0;

        for (size_t i = 0; i < text.n; i++)
                characters += (text.p[i] & 0xc0) != 0x80;
        if (characters != CODE_CHARACTERS)
                return "length";
        return text.n == CODE_CHARACTERS ? NULL : "charset";
}

static int number_of(const uint8_t *digits, size_t n)
{
        int v = 0;

        for (size_t i = 0; i < n; i++)
                v = v * 10 + (digits[i] - '0');
        return v;
}

static uint8_t resident_check_character(const uint8_t *p)
{
        static const uint8_t weights[] = { 7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2 };
        unsigned sum = 0;

        for (unsigned i = 0; i < sizeof(weights); i++)
                sum += (unsigned)(p[i] - '0') * weights[i];
        return (uint8_t)"10X98765432"[sum % 11];
}

const char *idcode_check_resident(struct bytes text, day_number today)
{
        const uint8_t *p = text.p;
        const char *wrong = check_length(text);
        int year, month, day;

        if (wrong)
                return wrong;
        if (!all_digits(p, 17) || (!is_digit(p[17]) && p[17] != 'X'))
                return "charset";
        year = number_of(p + 6, 4);
        month = number_of(p + 10, 2);
        day = number_of(p + 12, 2);
        if (!times_date_exists(year, month, day))
                return "birth_date";
        if (times_day_from_date(year, month, day) > today)
                return "future";
        return p[17] == resident_check_character(p) ? NULL : "checksum";
}

/* Value of a character of the credit code's alphabet, which leaves out I O S V Z; -1 if it is none. */
static int uscc_value(uint8_t c)
{
        static const char alphabet[] = "0123456789ABCDEFGHJKLMNPQRTUWXY";
        const char *at = c ? strchr(alphabet, c) : NULL;

        return at ? (int)(at - alphabet) : -1;
}

static int uscc_check_value(const uint8_t *p)
{
        static const uint8_t weights[] = { 1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28 };
        int sum = 0;

        for (unsigned i = 0; i < sizeof(weights); i++)
                sum += uscc_value(p[i]) * weights[i];
        return (31 - sum % 31) % 31;
}

/* GB 11714, at positions 9 to 17 of the code; letters count from A = 10 without gaps. */
static uint8_t organisation_check_character(const uint8_t *p)
{
        static const uint8_t weights[] = { 3, 7, 9, 10, 5, 8, 4, 2 };
        int sum = 0;

        for (unsigned i = 0; i < sizeof(weights); i++)
                sum += (is_digit(p[i]) ? p[i] - '0' : p[i] - 'A' + 10) * weights[i];
        return (uint8_t)"0X987654321"[sum % 11];        /* 11 - sum: 11 is written 0, 10 is written X */
}

const char *idcode_check_uscc(struct bytes text)
{
        const uint8_t *p = text.p;
        const char *wrong = check_length(text);

        if (wrong)
                return wrong;
        for (unsigned i = 0; i < CODE_CHARACTERS; i++)
                if (uscc_value(p[i]) < 0)
                        return "charset";
        if (!all_digits(p + 2, 6))
                return "region";
        if (uscc_value(p[17]) != uscc_check_value(p))
                return "checksum";
        return p[16] == organisation_check_character(p + 8) ? NULL : "org_checksum";
}

/* purge: what may be taken out of the log, and up to where (REGULATIONS 9.2, 6.12).
 *
 * An act of the authority's DATA_OPERATOR and its AUDIT_OFFICER names a seq; up to it bodies, later inputs may go.  Nothing
 * goes here: the entry only says what is no longer owed, and the broker's retention job does it to the files.  How old an
 * entry is stands in the state, as the first seq of each Shanghai day (apply writes it), so that every replay judges alike. */
#include "common/exchange/effects.h"
#include "common/exchange/rows.h"
#include "common/exchange/turn.h"
#include "common/macro.h"
#include "common/policy_keys.h"
#include <stdio.h>

static enum refusal load(struct turn *t, void **ret_matter, unsigned *ret_state)
{
        *ret_matter = (void *)t->claim->open_body;
        *ret_state = 0;
        return t->claim->open_body ? ACCEPTED : turn_refuse(t, E_FORM, "body");
}

/* A BASE is named with inputs, and covers them; nothing is named with bodies. */
static bool base_fits(const struct turn *t, const Shuyi__V1__PurgeBody *b)
{
        if (b->what == PURGE_BODIES)
                return b->base_seq == 0 && b->base_digest.len == 0;
        return b->base_seq >= b->to && b->base_seq < t->entry->seq && b->base_digest.len == DIGEST_BYTES;
}

static enum refusal fields_fit(struct turn *t, void *matter)
{
        const Shuyi__V1__PurgeBody *b = matter;

        if (!word_known(LIST_purge, b->what))
                return turn_refuse(t, G_FIELD, "what");
        if (b->to == 0 || b->to >= t->entry->seq)
                return turn_refuse(t, G_FIELD, "to");
        return base_fits(t, b) ? ACCEPTED : turn_refuse(t, G_FIELD, "base");
}

/* Did an earlier act take `what` up to `to` or beyond? */
static bool covered(struct turn *t, uint32_t what, uint64_t to)
{
        struct bytes prefix = TURN_KEY(t, TABLE_PURGE, turn_u8(t, (uint8_t)what)), key, value;

        return turn_next(t, prefix, TURN_KEY(t, TABLE_PURGE, turn_u8(t, (uint8_t)what), turn_u64(t, to)), &key, &value);
}

static enum refusal goes_on(struct turn *t, void *matter)
{
        const Shuyi__V1__PurgeBody *b = matter;

        if (covered(t, b->what, b->to))
                return turn_refuse(t, G_ONCE, "to");
        if (b->what == PURGE_INPUTS && !covered(t, PURGE_BODIES, b->to))
                return turn_refuse(t, G_OTHER, "bodies first");
        return ACCEPTED;
}

static uint32_t years_kept(const struct turn *t)
{
        uint32_t years = policy_number(t->policy, POLICY_retention_years), use = policy_number(t->policy, POLICY_use_record_years);

        return use != POLICY_NONE && use > years ? use : years;
}

/* The last day whose same date `years` on lies before today: its records have been kept for all of them. */
static day_number last_free_day(day_number today, uint32_t years)
{
        day_number d = today - (day_number)(366 * years) - 1;

        while (calendar_add_months(d + 1, 12 * years) < today)
                d++;
        return d;
}

/* no entry that is younger than the years to keep. */
static enum refusal old_enough(struct turn *t, void *matter)
{
        const Shuyi__V1__PurgeBody *b = matter;
        day_number free_day = last_free_day(times_shanghai_day(t->now), years_kept(t));
        struct bytes prefix = TURN_KEY(t, TABLE_DAY, (struct bytes){ 0 }), key, value;
        const Shuyi__V1__NumberRow *first;
        char detail[64];

        if (!turn_next(t, prefix, TURN_KEY(t, TABLE_DAY, turn_u32(t, (uint32_t)(free_day + 1))), &key, &value))
                return ACCEPTED;                /* nothing is younger */
        first = turn_get_row(t, key, &shuyi__v1__number_row__descriptor);
        if (!first)
                return E_FORM;                  /* a fault: it sticks in the turn */
        if (b->to < first->n)
                return ACCEPTED;
        snprintf(detail, sizeof(detail), "to: at most %llu today", (unsigned long long)(first->n - 1));
        return turn_refuse(t, G_OTHER, detail);
}

static void purge_write(struct turn *t, void *matter)
{
        const Shuyi__V1__PurgeBody *b = matter;
        Shuyi__V1__PurgeRow row = SHUYI__V1__PURGE_ROW__INIT;

        row.to = b->to;
        row.seq = t->entry->seq;
        row.at = t->now.ms;
        row.base_seq = b->base_seq;
        row.base_digest = b->base_digest;
        turn_put_row(t, TURN_KEY(t, TABLE_PURGE, turn_u8(t, (uint8_t)b->what), turn_u64(t, b->to)), &row.base);
}

static const struct rule rules[] = {
        /* in     event       by                       guards                                 becomes  effect       row    law */
        { IN_NONE, KIND_PURGE, BY_OPERATOR_AND_AUDITOR, { fields_fit, goes_on, old_enough }, 0,       purge_write, "9.2", "NA 29(2)" },
};

const struct machine machine_purge = {
        .name = "PURGE",
        .load = load,
        .rules = rules,
        .rules_n = ELEMENTS(rules),
};

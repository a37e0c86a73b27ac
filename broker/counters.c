/* counters: see the header. */
#include "broker/counters.h"
#include "broker/settings.h"
#include "common/frame.h"
#include "common/kind.h"
#include "common/macro.h"
#include "common/refusal.h"
#include "common/session.h"
#include "common/words.h"

const struct metric_row counters_rows[] = { BROKER_METRICS(METRIC_ROW) };

/* Index i stands for number i of the list; 0 for what has none. */
static const char *word_at(enum word_list list, unsigned i)
{
        return i == 0 ? "none" : word_name(list, i);
}

const char *counters_frame(unsigned i)
{
        const struct frame_row *row = i == 0 ? NULL : frame_find((uint8_t)i);

        return i == 0 ? "UNKNOWN" : row ? row->name : NULL;
}

const char *counters_why(unsigned i)
{
        return i < SESSION_WHY_COUNT ? session_why_text((enum session_why)i) : NULL;
}

const char *counters_busy(unsigned i) { return word_at(LIST_busy, i); }
const char *counters_parcel(unsigned i) { return word_at(LIST_parcel, i); }
const char *counters_read(unsigned i) { return word_at(LIST_read, i); }

const char *counters_refusal(unsigned i)
{
        const struct refusal_text *t = refusal_at(i);

        return t ? t->code : NULL;
}

const char *counters_kind(unsigned i)
{
        const struct kind *k = kind_at(i);

        return k ? k->name : NULL;
}

const char *counters_queue(unsigned i)
{
        static const char *const names[Q_COUNT] = { "verify", "sequence", "deliver", "front", "reads" };

        return i < Q_COUNT ? names[i] : NULL;
}

/* The table asks by number alone, and only the configuration knows the names: set once, before the first thread. */
static const char *witness_names[SETTINGS_WITNESSES_MAX + 1];

void counters_name_witness(unsigned i, const char *name)
{
        if (i < SETTINGS_WITNESSES_MAX)
                witness_names[i] = name;
}

const char *counters_witness(unsigned i)
{
        return i < SETTINGS_WITNESSES_MAX ? witness_names[i] : NULL;
}

unsigned counters_refusal_label(uint32_t code)
{
        const struct refusal_text *t;

        for (unsigned i = 0; (t = refusal_at(i)); i++)
                if (t->number == code)
                        return i;
        return 0;
}

unsigned counters_kind_label(uint32_t kind)
{
        const struct kind *k;

        for (unsigned i = 0; (k = kind_at(i)); i++)
                if (k->number == kind)
                        return i;
        return 0;
}

/* session: what both ends share. */
#include "common/session.h"
#include "common/exchange/exchange.h"
#include "common/macro.h"

_Static_assert(SESSION_LANE_WINDOW == LANE_WINDOW, "the state remembers as many numbers as may be unsettled");

#define WHY_TEXT(name, text) [SESSION_WHY_##name] = text,
static const char *const why_texts[] = { SESSION_WHYS(WHY_TEXT) };

const char *session_why_text(enum session_why w)
{
        return (unsigned)w < ELEMENTS(why_texts) ? why_texts[w] : "unknown";
}

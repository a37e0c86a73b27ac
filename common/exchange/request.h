/* request: what other nouns need of SM-REQ. */
#pragma once
#include "common/exchange/rows.h"

/* SM-REQ 15, fired by the first delivery receipt under the request's grant.  Nothing happens unless it is CONSENTED. */
void request_provided(struct turn *t, struct bytes request);

/* catalog: what other nouns need of SM-CAT. */
#pragma once
#include "common/exchange/rows.h"

/* Freezes or unfreezes an entry: the flag, a trust record where a version is published, N_FREEZE to the provider.  Grants,
 * streams and consumers find it by look-up. */
void catalog_set_frozen(struct turn *t, struct bytes matter, Shuyi__V1__MatterRow *row, bool frozen);

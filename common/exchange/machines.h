/* machines: all nouns of the exchange in one order, and which of them knows a kind or a clock.  Pure, static. */
#pragma once
#include "common/exchange/turn.h"

const struct machine *machine_at(unsigned index);               /* NULL past the end */
const struct machine *machine_of_kind(uint16_t kind);           /* NULL: no row has this event */
const struct machine *machine_of_clock(enum clock clock);       /* NULL: nobody's */

/* tick: what has fallen due, fired in due order with the time at which it fell due (DESIGN 2, Time).
 *
 * An item is a clock that ran out or an id that expired; a TICK takes at most TICK_MAX, those that the state holds when
 * it begins, so its body can be known beforehand; what they start anew waits for the next one.  Pure. */
#pragma once
#include "common/exchange/turn.h"

/* Fires all of a TICK at t->now; answers how many items. */
uint32_t tick_fire(struct turn *t);

/* apply: checks 4 to 10 of REGULATIONS 6.13 and the row's effects, for who runs the tables over another state than the
 * broker's (trust.c).  Inside the exchange library only. */
#pragma once
#include "common/exchange/turn.h"

/* Signers, object, state, freeze, guards; then the effect.  The turn is filled but for its actors. */
enum refusal apply_act(struct turn *t);

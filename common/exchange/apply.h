/* apply: checks 2 to 10 of REGULATIONS 6.13 and the row's effects, for who runs the tables over another state than the
 * broker's (trust.c).  Inside the exchange library only. */
#pragma once
#include "common/exchange/turn.h"

/* Judges an act again that the broker says it took: in its time, for the first time, under a policy; signers, object, state,
 * freeze, guards; then the effect and the row by which a repetition is known.  The turn is filled but for its actors; its
 * entry has no link. */
enum refusal apply_again(struct turn *t);

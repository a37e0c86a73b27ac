/* repetition: numbers of lanes and ids of persons' acts, so that nothing becomes an entry twice (DESIGN 4).
 *
 * Per (link, lane) the state keeps the highest number that became an entry and number -> seq for the last LANE_WINDOW;
 * refused data and malformed frames use numbers too and make no entry, so numbers may leave gaps but never go back.
 * What a person or root signed is remembered by (credential, envelope id) until it expires.  Pure. */
#pragma once
#include "common/exchange/turn.h"

/* E_REPLAY: a number already used or of an older life of the outbox ("lane"), or a signed id that is an entry ("seq=N"). */
enum refusal repetition_check_lane(struct turn *t);
enum refusal repetition_check_id(struct turn *t);
/* Writes both: for what was accepted and for refused control acts alike.  `code`: E_CRED remembers no id, else who got hold
 * of a signed envelope could burn it over a link that is not the signer's. */
void repetition_settle(struct turn *t, enum refusal code);

/* For TICK: the first id that has expired at t->now; removes it.  false if none has. */
bool repetition_forget_one(struct turn *t);

/* witness: collects cosignatures on the newest head until the anchor's quorum is reached, and publishes it then.  DESIGN 7.
 *
 * At most once a second the candidate of broker/published.h goes to all witnesses that the configuration has an address for and the
 * anchor in force names, each with the proof from what that witness cosigned last.  What comes back is checked against the
 * anchor's key.  A witness that says the log does not go on from what it saw is an alarm: an entry in the log of
 * events, a counter, and a head less.  Where the anchor's quorum is 0 nobody is asked.  One thread; never in the way of an acknowledgement. */
#pragma once
#include "broker/broker.h"

struct witness_collector;

/* After publish_start.  Takes up the head of the last run, if it still holds; -EBADMSG: it says more than this log has. */
int witness_start(struct broker *b, struct witness_collector **ret);
void witness_stop(struct witness_collector *w);         /* after publish_stop's published_close; NULL is fine */

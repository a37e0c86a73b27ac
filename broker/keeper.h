/* keeper: a thread that writes BASEs when they are due and takes out of the log what was purged (REGULATIONS 9.2).
 *
 * Both read short snapshots beside the running broker and write files of their own; neither can hold anything up.  What fails
 * is logged and tried again later. */
#pragma once
#include "broker/broker.h"

struct keeper;
int keeper_start(struct broker *b, struct keeper **ret);
void keeper_stop(struct keeper *k);             /* NULL is fine; what it is at is broken off */

/* directory: the key directory as the state has it. */
#pragma once
#include "common/exchange/exchange.h"
#include "common/keydir.h"

/* A new directory of all credentials, roots of the newest anchor, and links.  0 or a fault. */
int directory_build(struct state state, struct keydir **ret);

/* sender: does whoever signed belong to the link it came over?  DESIGN 3, 8.
 *
 * A person's envelope travels over a link of the signer's department; FILE, DEPARTMENT and what the root signs also
 * over the authority's.  Decided before any signature is checked.  Pure. */
#pragma once
#include "broker/peek.h"
#include "common/keydir.h"

/* ACCEPTED or E_CRED. */
enum refusal sender_check(const struct keydir *d, const struct keydir_link *link, const char *authority, const struct peek *p);

/* signers: who signed, and whether these may do what the row asks (REGULATIONS 3.5, 6.12; 6.13 checks 4 to 6 and guards 1, 2).
 *
 * A wrong role, capacity, department or link is E_ROLE or E_CRED; the right people in too small a number or in another
 * order are G_SIGNERS; one person in two parts is G_SEPARATION.  Persons are compared by person_id, so two
 * credentials of one person are one person.  Pure. */
#pragma once
#include "common/exchange/turn.h"

/* Fills t->actors from the registry: credentials in force at t->now (E_CRED), the link they came over (E_CRED), capacity,
 * department and intent.from (E_ROLE). */
enum refusal signers_resolve(struct turn *t);
/* Is the department or credential of one of them suspended (E_SUSPENDED)? */
enum refusal signers_check_suspended(struct turn *t);

/* Has every signer a capacity that the row has a place for?  What E_ROLE asks before the object is known. */
bool signers_fit(struct turn *t, enum by by);
/* The whole of it: E_ROLE, E_NOT_YET (a decider across parties), G_SIGNERS, then G_SEPARATION between any two signers. */
enum refusal signers_check(struct turn *t, enum by by);

/* The first signer with this capacity; NULL if none. */
const struct actor *signers_find(const struct turn *t, enum role capacity);
/* Did this person sign?  For "neither the user, the handler nor the submitter". */
bool signers_person_signed(const struct turn *t, struct bytes person_id);
/* Who acts: the first signer's department; "" for ROOT and SYSTEM. */
const char *signers_department(const struct turn *t);

/* Root keys of the anchor in force, or of the anchor in the body of the first ANCHOR.  NULL if there is none. */
const Shuyi__V1__Anchor *signers_anchor(struct turn *t);

/* Two of SEC_ADMIN, DATA_OPERATOR, AUDIT_OFFICER in one set of roles? */
bool roles_exclusive(uint64_t roles);
uint64_t roles_mask(const uint32_t *roles, size_t n);

/* catalog_rules: the validation rules of a catalog entry (REGULATIONS 4.5), as a table of check functions.
 *
 * The provider's agent and the command run them before an entry leaves the department, the broker's apply again: one
 * function for all.  Every rule runs; what fails is reported together, ascending.  Pure. */
#pragma once
#include "common/exchange/rows.h"
#include "common/policy.h"

#define CATALOG_FINDINGS_MAX 32
#define CATALOG_CODES_TEXT 512
#define ENTRY_ITEMS_MAX 512
#define ENTRY_NAME_CHARS 200
#define ENTRY_ABSTRACT_CHARS 1000
#define ENTRY_SEMANTIC_BYTES 128                /* part of a key of the state */
#define ENTRY_LIST_MAX 64                       /* bases, methods, uses */

/* What a rule needs to know beside the entry.  `rows` NULL: nothing can be looked up (a dry run far from any replica):
 * then rules that compare with the registry or with other entries pass. */
struct catalog_lookup {
        struct rows *rows;
        const char *department;                 /* of the signer; "" where not known yet */
        struct bytes matter;                    /* the entry's own matter, 32; empty for a first SUBMIT */
        day_number today;                       /* Shanghai */
        struct arena *arena;
};

struct catalog_finding { enum refusal code; bool warning; char where[160]; };    /* C_001: the fields, separated by spaces */

struct catalog_results {
        struct catalog_finding rows[CATALOG_FINDINGS_MAX];      /* ascending by code */
        unsigned n, errors, warnings;
        enum refusal first;                     /* the first E: what a SUBMIT is refused with; ACCEPTED if none */
};

/* Runs every rule.  `policy` names the accepted levels and what is asked. */
void catalog_check(const Shuyi__V1__Entry *entry, const struct policy *policy, const struct catalog_lookup *lookup, struct catalog_results *ret);
/* What of the entry this version of the exchange cannot serve yet: the field's name, NULL if nothing.  E_NOT_YET. */
const char *catalog_not_yet(const Shuyi__V1__Entry *entry);

/* "C-001(abstract office),C-021": what a receipt's detail shows; only warnings where `warnings_only`. */
void catalog_format(const struct catalog_results *r, bool warnings_only, char ret[CATALOG_CODES_TEXT]);

/* An item of an entry by its number; NULL. */
const Shuyi__V1__Item *entry_find_item(const Shuyi__V1__Entry *entry, uint32_t item_no);
/* The share type that holds for an item: its own, or the entry's. */
enum share_type entry_item_type(const Shuyi__V1__Entry *entry, const Shuyi__V1__Item *item);
/* Digest of the secrecy review, as it travels in the header of an UPDATE (5.5).  {0} where there is none, or the arena is full. */
struct digest entry_secrecy_digest(struct arena *a, const Shuyi__V1__Entry *entry);
/* Does a list of bases hold one of a level in this set of the profile? */
bool basis_accepted(Shuyi__V1__Basis *const *basis, size_t n, const struct policy *policy, enum policy_key levels);

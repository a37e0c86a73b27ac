/* peek: kind and signers of an envelope, before anything is checked.
 *
 * The front decides by them what costs more: space, clock, and whether the sender belongs to the link.  Made for
 * untrusted input: any bytes are safe; what is read here is checked again by envelope_verify().  Pure. */
#pragma once
#include "common/bytes.h"
#include "common/envelope.h"

struct peek {
        uint32_t kind;                          /* 0: none found */
        unsigned signers_n;
        struct { struct digest credential; uint32_t capacity; } signers[ENVELOPE_SIGNATURES_MAX];
};

/* The kind, from the first bytes of an envelope; 0 if they do not hold it. */
uint32_t peek_kind(struct bytes beginning);
/* False if the bytes cannot be an envelope. */
bool peek_envelope(struct bytes wire, struct peek *ret);

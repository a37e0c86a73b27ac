/* edit_message: small changes to a good message, chosen by a script.
 *
 * Values come from a vocabulary, which is what other messages of the same scene hold: so that an edit names another grant, person
 * or department that there is, and not only noise.  Messages lie in an arena and are changed in place. */
#pragma once
#include "tests/fuzz/fuzz.h"

#define VOCABULARY_MAX 512

struct vocabulary {
        struct bytes run[VOCABULARY_MAX];       /* values of bytes fields, once each */
        char *text[VOCABULARY_MAX];
        size_t runs, texts;
};

/* What the message holds, borrowed from it. */
void vocabulary_add(struct vocabulary *v, const ProtobufCMessage *m);
void vocabulary_add_run(struct vocabulary *v, struct bytes b);

/* One field of the message, or of one inside it, becomes another value, absent, one more or one less. */
void message_edit(struct arena *a, struct script *s, const struct vocabulary *v, ProtobufCMessage *m);

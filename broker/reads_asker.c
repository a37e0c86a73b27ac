/* reads_asker: who signed a question, and so what an audit may show (REGULATIONS 3.5). */
#include "broker/reads.h"
#include <string.h>

/* Which roles read records of use, and how far they see.  No row: not at all. */
static const struct asker_row { enum role role; enum { SEES_ALL, SEES_DEPARTMENT, SEES_OWN } sees; } rows[] = {
        { ROLE_AUDIT_OFFICER, SEES_ALL },
        { ROLE_DATA_OFFICER, SEES_DEPARTMENT },
        { ROLE_APPROVER, SEES_OWN },
        { ROLE_USER, SEES_OWN },
};

static bool has_role(const Shuyi__V1__Subject *s, enum role role)
{
        for (size_t i = 0; i < s->n_roles; i++)
                if (s->roles[i] == (uint32_t)role)
                        return true;
        return false;
}

/* Is the question signed once, now, and for this very key? */
static const struct claim *signed_question(struct reading *r)
{
        const Shuyi__V1__Read *read = r->question->read;
        struct digest key = digest_plain(bytes_of(read->key.data, read->key.len));
        uint64_t now = times_wall().ms;
        struct keydir *d = keydir_slot_get(r->broker->directory);
        struct key_source keys = keydir_keys(d);
        const struct claim *c;
        enum refusal code = envelope_verify(r->arena, bytes_of(read->query.data, read->query.len), &keys, &c);

        keydir_unref(d);
        if (code != ACCEPTED || c->kind->number != KIND_AUDIT_READ || c->signers_n != 1)
                return NULL;
        if (c->intent->created_at > now + SKEW_MS || c->intent->created_at + SKEW_MS < now)
                return NULL;
        return bytes_equal(bytes_of(c->intent->object.data, c->intent->object.len), bytes_digest(&key)) ? c : NULL;
}

/* The signer by a credential in force that has the role signed in; NULL if there is none. */
static const Shuyi__V1__Subject *person_of(struct reading *r, const struct signer *s)
{
        const Shuyi__V1__CredentialRow *row = FOLD_ROW(r->state, r->arena, shuyi__v1__credential_row__descriptor, TABLE_CREDENTIAL, bytes_digest(&s->credential));
        const Shuyi__V1__Credential *c = row && row->status == STATUS_ACTIVE ? shuyi__v1__credential__unpack(arena_allocator(r->arena), row->credential.len, row->credential.data) : NULL;

        if (!c || !c->subject || c->subject->kind != SUBJECT_PERSON || c->subject->id.len != ID_BYTES || times_wall().ms >= c->not_after)
                return NULL;
        return has_role(c->subject, s->capacity) ? c->subject : NULL;
}

bool reading_identify(struct reading *r)
{
        const struct claim *c = signed_question(r);
        const Shuyi__V1__Subject *who = c ? person_of(r, &c->signers[0]) : NULL;

        for (unsigned i = 0; who && i < sizeof(rows) / sizeof(rows[0]); i++) {
                if (rows[i].role != c->signers[0].capacity)
                        continue;
                if (strcmp(who->department, rows[i].sees == SEES_ALL ? r->broker->authority : r->question->department) != 0)
                        return false;           /* of the authority; a department's people ask over a link of theirs */
                r->asker.known = true;
                r->auditor = r->asker.scope.all = rows[i].sees == SEES_ALL;
                if (rows[i].sees == SEES_DEPARTMENT)
                        r->asker.scope.department = who->department;
                if (rows[i].sees == SEES_OWN)
                        r->asker.scope.person = bytes_of(who->id.data, who->id.len);
                return true;
        }
        return false;
}

/* sender: see the header. */
#include "broker/sender.h"

static bool signer_fits(const struct keydir *d, const struct keydir_link *link, bool over_authority, uint32_t kind,
                        const struct digest *credential, uint32_t capacity)
{
        const char *department = keydir_department(d, credential);

        if (capacity == ROLE_ROOT)
                return over_authority;
        if (capacity == ROLE_SYSTEM || !department)
                return false;
        if (strcmp(department, link->department) == 0)
                return true;
        return over_authority && (kind == KIND_FILE || kind == KIND_DEPARTMENT);
}

enum refusal sender_check(const struct keydir *d, const struct keydir_link *link, const char *authority, const struct peek *p)
{
        bool over_authority = strcmp(link->department, authority) == 0;

        for (unsigned i = 0; i < p->signers_n; i++)
                if (!signer_fits(d, link, over_authority, p->kind, &p->signers[i].credential, p->signers[i].capacity))
                        return E_CRED;
        return ACCEPTED;
}

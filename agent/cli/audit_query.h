/* audit_query: what an audit asks for, out of the command's options, and its answers as people read them. */
#pragma once
#include "agent/cli/cli.h"
#include "proto/audit.pb-c.h"

#define AUDIT_QUERY_OPTIONS \
        { "department", "CODE", "consumer, provider or actor", false }, { "person", "ID", "user, approver or signer", false }, \
        { "resource", "CODE", "resource code", false }, { "grant", "ID", "grant", false }, \
        { "from", "DAY", "acquired (of an act: accepted) from this day on", false }, { "to", "DAY", "and up to the end of this day", false }, \
        { "outcome", "WORD", "TAKEN, REFUSED, or a refusal's code such as E_ROLE", false }, \
        { "acts", NULL, "the acts of the log and their outcomes, not the acquisitions", false }

/* 0, or an exit code after a message. */
int audit_query_read(struct cli *c, Shuyi__V1__AuditQuery *ret);
/* A row of the answer as JSON, the caller's; NULL after a message. */
json_t *audit_query_row(const Shuyi__V1__AuditQuery *q, struct bytes row, struct arena *a);
/* The rows as text. */
void audit_query_print(const struct cli *c, const json_t *list, FILE *out);

/* kind: the rows of kind.h as data.  Pure. */
#include "common/kind.h"
#include "common/macro.h"
#include "proto/catalog.pb-c.h"
#include "proto/log.pb-c.h"
#include "proto/registry.pb-c.h"
#include "proto/request.pb-c.h"
#include "proto/stream.pb-c.h"

/* A body's descriptor, or NULL for `none`: NO_BODY_none shifts NULL into second place. */
#define NO_BODY_none ~, NULL
#define SECOND(first, second, ...) second
#define SECOND_OF(...) SECOND(__VA_ARGS__, ~)
#define BODY(body) SECOND_OF(NO_BODY_##body, &shuyi__v1__##body##__descriptor)

#define ROW_NOW(name, number, class, body, row) { number, KIND_##class, false, #name, BODY(body), row },
#define ROW_LATER(name, number, class, row) { number, KIND_##class, true, #name, NULL, row },
static const struct kind kinds[] = { KINDS_NOW(ROW_NOW) KINDS_LATER(ROW_LATER) };

/* Every message asks for its kind, so the number leads straight to the row. */
#define INDEX_NOW(name, number, class, body, row) INDEX_##name,
#define INDEX_LATER(name, number, class, row) INDEX_##name,
enum { KINDS_NOW(INDEX_NOW) KINDS_LATER(INDEX_LATER) };

#define PLACE_NOW(name, number, class, body, row) [number] = &kinds[INDEX_##name],
#define PLACE_LATER(name, number, class, row) [number] = &kinds[INDEX_##name],
static const struct kind *const by_number[] = { KINDS_NOW(PLACE_NOW) KINDS_LATER(PLACE_LATER) };

const struct kind *kind_find(uint32_t number)
{
        return number < ELEMENTS(by_number) ? by_number[number] : NULL;
}

const struct kind *kind_at(unsigned index)
{
        return index < ELEMENTS(kinds) ? &kinds[index] : NULL;
}

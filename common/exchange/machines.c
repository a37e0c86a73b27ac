/* machines: the list. */
#include "common/exchange/machines.h"

#include "common/macro.h"

static const struct machine *const machines[] = {
        &machine_registry,
        &machine_staff,
        &machine_settings,
        &machine_purge,
        &machine_catalog,
        &machine_direct,
        &machine_request,
        &machine_grant,
        &machine_stream,
        &machine_system,
};

const struct machine *machine_at(unsigned index)
{
        return index < ELEMENTS(machines) ? machines[index] : NULL;
}

static bool has_event(const struct machine *m, uint16_t kind)
{
        for (size_t i = 0; i < m->rules_n; i++)
                if (m->rules[i].event == kind)
                        return true;
        return false;
}

const struct machine *machine_of_kind(uint16_t kind)
{
        for (unsigned i = 0; i < ELEMENTS(machines); i++)
                if (has_event(machines[i], kind))
                        return machines[i];
        return NULL;
}

const struct machine *machine_of_clock(enum clock clock)
{
        for (unsigned i = 0; i < ELEMENTS(machines); i++)
                for (size_t j = 0; j < machines[i]->clocks_n; j++)
                        if (machines[i]->clocks[j] == clock)
                                return machines[i];
        return NULL;
}

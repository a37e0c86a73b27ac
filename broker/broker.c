/* broker: see the header. */
#include "broker/broker.h"
#include <stdlib.h>
#include <unistd.h>

_Noreturn void broker_fail(const char *event, int fault)
{
        log_event(LOG_CRIT, event, log_errno("fault", fault));
        _exit(70);
}

int64_t broker_setting(struct broker *b, enum setting key)
{
        int64_t v;

        pthread_mutex_lock(&b->config_lock);
        v = config_int(b->config, key);
        pthread_mutex_unlock(&b->config_lock);
        return v;
}

const char *broker_checkpoint(struct broker *b, struct arena *a)
{
        const char *copy;

        pthread_mutex_lock(&b->checkpoint_lock);
        copy = arena_strdup(a, b->note ? b->note : "");
        pthread_mutex_unlock(&b->checkpoint_lock);
        return copy ? copy : "";
}

void broker_set_checkpoint(struct broker *b, const char *note)
{
        char *copy = strdup(note), *old;

        if (!copy)
                return;                 /* the older one is as true */
        pthread_mutex_lock(&b->checkpoint_lock);
        old = b->note;
        b->note = copy;
        pthread_mutex_unlock(&b->checkpoint_lock);
        free(old);
}

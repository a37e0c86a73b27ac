/* main: the `shuyi` command: the list of its nouns. */
#include "agent/cli/cli.h"
#include <curl/curl.h>
#include <locale.h>
#include <sodium.h>

static const struct cli_command *const tables[] = {
        commands_authority, commands_key, commands_department, commands_staff, commands_agent, commands_catalog, commands_request,
        commands_grant, commands_draft, commands_push, commands_audit, commands_log, commands_policy, commands_system, commands_witness, NULL,
};

int main(int argc, char **argv)
{
        setlocale(LC_CTYPE, "C.UTF-8");
        if (sodium_init() < 0 || curl_global_init(CURL_GLOBAL_DEFAULT) != 0) {
                cli_error("the crypto or HTTP library does not start");
                return CLI_FAILED;
        }
        int code = cli_main(argc, argv, tables);
        curl_global_cleanup();
        return code;
}

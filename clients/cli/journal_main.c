// SPDX-License-Identifier: Apache-2.0
/* clients/cli/journal_main.c - tombolo-journal: the command line. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clients/cli/journal_cli.h"

const char *const cli_program = "tombolo-journal";

static const char help[] =
    "tombolo-journal - look into the log of a Tombolo node\n"
    "\n"
    "  tombolo-journal list   DIR            the streams: first, last, bytes, segments, newest\n"
    "  tombolo-journal dump   DIR [STREAM]   the records, one JSON object a line; gaps too\n"
    "  tombolo-journal verify DIR [STREAM]   read every byte; name each range that is not good,\n"
    "                                        and whether the parent has it\n"
    "  tombolo-journal renew  DIR            begin a new incarnation with what the parent may not "
    "have:\n"
    "                                        for a fenced node, with its broker stopped\n"
    "\n"
    "DIR is the data_dir of the configuration, or the folder \"journal\" in it. All but renew "
    "only\n"
    "reads, and may run beside the broker.\n"
    "\n"
    "  --from SEQ          dump: begin at this number\n"
    "  --since TIME        dump: begin at this time: 2026-11-21T16:20:00Z, 2026-11-21, or 10m ago: "
    "10m\n"
    "                      (s, m, h, d)\n"
    "  --follow, -f        dump: go on with what is written from now\n"
    "  -n N                dump: stop after N records\n"
    "  --snapshot FILE     verify: also the broker's snapshot, mosquitto.db, and FILE.kept\n"
    "  --dry-run           renew: only say what would be done\n"
    "  --all               renew: carry all over, also what the parent has\n"
    "  -o json|table       how to print; dump: json, others: table\n"
    "  --help, --version\n"
    "\n"
    "Exit: 0 good; 1 something is damaged or missing; 2 wrong usage; 3 cannot be read.\n"
    "\n"
    "  tombolo-journal dump /var/lib/tombolo alarms --since 1h | jq .topic\n";

enum {
    OPTION_FROM = 256,
    OPTION_SINCE,
    OPTION_SNAPSHOT,
    OPTION_DRY_RUN,
    OPTION_ALL,
    OPTION_HELP,
    OPTION_VERSION
};

static const struct option long_options[] = {
    {"from", required_argument, NULL, OPTION_FROM},
    {"since", required_argument, NULL, OPTION_SINCE},
    {"snapshot", required_argument, NULL, OPTION_SNAPSHOT},
    {"dry-run", no_argument, NULL, OPTION_DRY_RUN},
    {"all", no_argument, NULL, OPTION_ALL},
    {"follow", no_argument, NULL, 'f'},
    {"output", required_argument, NULL, 'o'},
    {"help", no_argument, NULL, OPTION_HELP},
    {"version", no_argument, NULL, OPTION_VERSION},
    {NULL, 0, NULL, 0},
};

static int misuse(const char *why, const char *what)
{
    fprintf(stderr, "tombolo-journal: %s%s%s%s\n  tombolo-journal --help shows what there is.\n",
            why, what ? " \"" : "", what ? what : "", what ? "\"" : "");
    return CLI_USAGE;
}

static bool parse_number(const char *text, uint64_t *ret_number)
{
    char *end;
    errno = 0;
    unsigned long long n = strtoull(text, &end, 10);
    if (errno || end == text || *end != '\0' || strchr(text, '-') || n == 0)
        return false;
    *ret_number = n;
    return true;
}

static tmb_wall now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (tmb_wall){(int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000};
}

/* CLI_OK, or the exit code; -1: print and leave in good order. */
static int take_option(int option, cli_options *options, bool *ret_has_output)
{
    switch (option) {
    case OPTION_FROM:
        return parse_number(optarg, &options->from)
                   ? CLI_OK
                   : misuse("--from takes a number from 1, not", optarg);
    case OPTION_SINCE:
        options->has_since = cli_time_parse(optarg, now(), &options->since);
        return options->has_since
                   ? CLI_OK
                   : misuse("--since takes 2026-11-21T16:20:00Z, 2026-11-21 or 10m, not", optarg);
    case OPTION_SNAPSHOT:
        options->snapshot = optarg;
        return CLI_OK;
    case OPTION_DRY_RUN:
        options->is_dry_run = true;
        return CLI_OK;
    case OPTION_ALL:
        options->is_all = true;
        return CLI_OK;
    case 'f':
        options->is_follow = true;
        return CLI_OK;
    case 'n':
        return parse_number(optarg, &options->count_max)
                   ? CLI_OK
                   : misuse("-n takes a number from 1, not", optarg);
    case 'o':
        *ret_has_output = true;
        options->is_json = strcmp(optarg, "json") == 0;
        return options->is_json || strcmp(optarg, "table") == 0
                   ? CLI_OK
                   : misuse("-o takes json or table, not", optarg);
    case OPTION_HELP:
        fputs(help, stdout);
        return -1;
    case OPTION_VERSION:
        puts("tombolo-journal " TMB_VERSION);
        return -1;
    default:
        return misuse("see above", NULL); /* getopt has told which */
    }
}

typedef struct command {
    const char *name;
    int (*run)(const cli_options *options);
    bool is_dump;
} command;

static int run(char **words, int count, cli_options *options, bool has_output)
{
    static const command commands[] = {{"list", cli_list, false},
                                       {"dump", cli_dump, true},
                                       {"verify", cli_verify, false},
                                       {"renew", cli_renew, false}};
    if (count == 0)
        return misuse("a command is missing: list, dump, verify or renew", NULL);
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        const command *c = &commands[i];
        if (strcmp(words[0], c->name) != 0)
            continue;
        if (count < 2)
            return misuse("DIR is missing: the data_dir of the configuration", NULL);
        if (count > (c->run == cli_list || c->run == cli_renew ? 2 : 3))
            return misuse("too many words, from", words[count - 1]);
        if (!c->is_dump && (options->from || options->has_since || options->is_follow ||
                            options->count_max != UINT64_MAX))
            return misuse("--from, --since, --follow and -n are for dump, not for", c->name);
        if (options->snapshot && c->run != cli_verify)
            return misuse("--snapshot is for verify, not for", c->name);
        if ((options->is_dry_run || options->is_all) && c->run != cli_renew)
            return misuse("--dry-run and --all are for renew, not for", c->name);
        if (options->from && options->has_since)
            return misuse("give --from or --since, not both", NULL);
        options->folder = words[1];
        options->stream = count == 3 ? words[2] : NULL;
        if (!has_output)
            options->is_json = c->is_dump;
        return c->run(options);
    }
    return misuse("no such command:", words[0]);
}

int main(int argc, char **argv)
{
    cli_options options = {.count_max = UINT64_MAX};
    bool has_output = false;
    int option;
    signal(SIGPIPE, SIG_IGN); /* a closed pipe is the end of the output, not of the process */
    while ((option = getopt_long(argc, argv, "fn:o:", long_options, NULL)) != -1) {
        int code = take_option(option, &options, &has_output);
        if (code)
            return code < 0 ? CLI_OK : code;
    }
    return cli_end(run(argv + optind, argc - optind, &options, has_output));
}

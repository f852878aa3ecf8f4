// SPDX-License-Identifier: Apache-2.0
/* clients/cli/state_main.c - tombolo-state: the command line. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clients/cli/journal_root.h"
#include "clients/cli/state_cli.h"
#include "config/config.h"
#include "config/suggest.h"

const char *const cli_program = "tombolo-state";

static const char help[] =
    "tombolo-state - read and change state that merges, at a Tombolo node\n"
    "\n"
    "  tombolo-state get       SCOPE/PATH            the value\n"
    "  tombolo-state list      SCOPE[/PATH]          all values at and below\n"
    "  tombolo-state watch     SCOPE[/PATH]          the same, and every change from now\n"
    "  tombolo-state conflicts SCOPE/PATH            all values of a register that was set on two "
    "sides\n"
    "  tombolo-state history   SCOPE[/PATH]          who asked for what here, from the journal\n"
    "\n"
    "  tombolo-state neighbours [SCOPE]              with whom this node shares it, and how far "
    "each is\n"
    "  tombolo-state retire     SCOPE NEIGHBOUR      one that does not come back is not waited "
    "for\n"
    "                                                (both: with the node's own certificate; "
    "SCOPE or \"line-*\")\n"
    "\n"
    "  tombolo-state set    SCOPE/PATH VALUE         a register; -: the bytes of standard input\n"
    "  tombolo-state inc    SCOPE/PATH [N]           a counter: up; dec: down; reset: to 0\n"
    "  tombolo-state count  SCOPE/PATH [N]           a counter that only grows\n"
    "  tombolo-state add    SCOPE/PATH ELEMENT...    a set in which adding wins; rm takes out\n"
    "  tombolo-state admit  SCOPE/PATH ELEMENT...    a set in which taking out wins; revoke takes "
    "out\n"
    "  tombolo-state insert SCOPE/PATH ELEMENT...    a set that only grows\n"
    "  tombolo-state enable SCOPE/PATH               a flag in which on wins; disable: off\n"
    "  tombolo-state permit SCOPE/PATH               a flag in which off wins; forbid: off\n"
    "  tombolo-state raise  SCOPE/PATH NUMBER        the greatest; lower: the least\n"
    "  tombolo-state new    SCOPE/PATH               a map; del: removes all at and below\n"
    "\n"
    "Where:\n"
    "  --config FILE       the node's configuration: its own broker, certificates, state.root, "
    "data_dir\n"
    "  -h HOST, -p PORT    the broker (localhost, 1883; with --cafile 8883)\n"
    "  --cafile FILE, --cert FILE, --key FILE        TLS\n"
    "  -u NAME, -P PASSWORD                          as the broker has them\n"
    "  --root WORD         the first level of the topics (state)\n"
    "  --journal DIR       history: the data_dir\n"
    "How:\n"
    "  --token TOKEN       a verb acts on what was read with the token (get -o json) and nothing "
    "later\n"
    "  --if TOKEN          a verb is refused if the value has changed since\n"
    "  --id RUN:N          a number that rises: what was done under it once is not done again\n"
    "  --since TIME        history: from 2026-11-21T16:20:00Z, 2026-11-21, or 10m ago: 10m (s, m, "
    "h, d)\n"
    "  --below             history: also of the paths below (of a SCOPE alone: always)\n"
    "  --timeout SECONDS   for the broker and its answer (10)\n"
    "  -o json|text        how to print (text)\n"
    "  --help, --version\n"
    "\n"
    "Exit: 0 good; 1 refused, or no such value or neighbour; 2 wrong usage; 3 no broker, no "
    "answer, "
    "unreadable.\n"
    "\n"
    "  tombolo-state inc line-7/press/3/parts 12\n";

enum {
    OPTION_CONFIG = 256,
    OPTION_CAFILE,
    OPTION_CERT,
    OPTION_KEY,
    OPTION_ROOT,
    OPTION_JOURNAL,
    OPTION_TOKEN,
    OPTION_IF,
    OPTION_ID,
    OPTION_SINCE,
    OPTION_BELOW,
    OPTION_TIMEOUT,
    OPTION_HELP,
    OPTION_VERSION
};

static const struct option long_options[] = {
    {"config", required_argument, NULL, OPTION_CONFIG},
    {"host", required_argument, NULL, 'h'},
    {"port", required_argument, NULL, 'p'},
    {"cafile", required_argument, NULL, OPTION_CAFILE},
    {"cert", required_argument, NULL, OPTION_CERT},
    {"key", required_argument, NULL, OPTION_KEY},
    {"username", required_argument, NULL, 'u'},
    {"pw", required_argument, NULL, 'P'},
    {"root", required_argument, NULL, OPTION_ROOT},
    {"journal", required_argument, NULL, OPTION_JOURNAL},
    {"token", required_argument, NULL, OPTION_TOKEN},
    {"if", required_argument, NULL, OPTION_IF},
    {"id", required_argument, NULL, OPTION_ID},
    {"since", required_argument, NULL, OPTION_SINCE},
    {"below", no_argument, NULL, OPTION_BELOW},
    {"timeout", required_argument, NULL, OPTION_TIMEOUT},
    {"output", required_argument, NULL, 'o'},
    {"help", no_argument, NULL, OPTION_HELP},
    {"version", no_argument, NULL, OPTION_VERSION},
    {NULL, 0, NULL, 0},
};

static int misuse(const char *why, const char *what)
{
    return state_fail(STATE_USAGE, "%s%s%s%s\n  tombolo-state --help shows what there is.", why,
                      what ? " \"" : "", what ? what : "", what ? "\"" : "");
}

static bool parse_number(const char *text, unsigned max, unsigned *ret)
{
    char *end;
    unsigned long n = strtoul(text, &end, 10);
    if (end == text || *end != '\0' || text[0] == '-' || n == 0 || n > max)
        return false;
    *ret = (unsigned)n;
    return true;
}

static int take_special(int option, state_options *o)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    switch (option) {
    case 'p':
        return parse_number(optarg, 65535, &o->port)
                   ? STATE_OK
                   : misuse("-p takes a port from 1 to 65535, not", optarg);
    case 'o':
        o->is_json = strcmp(optarg, "json") == 0;
        return o->is_json || strcmp(optarg, "text") == 0
                   ? STATE_OK
                   : misuse("-o takes json or text, not", optarg);
    case OPTION_TIMEOUT:
        return parse_number(optarg, 3600, &o->timeout_s)
                   ? STATE_OK
                   : misuse("--timeout takes seconds from 1 to 3600, not", optarg);
    case OPTION_SINCE:
        o->has_since = cli_time_parse(
            optarg, (tmb_wall){(int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000}, &o->since);
        return o->has_since
                   ? STATE_OK
                   : misuse("--since takes 2026-11-21T16:20:00Z, 2026-11-21 or 10m, not", optarg);
    case OPTION_BELOW:
        o->is_below = true;
        return STATE_OK;
    case OPTION_HELP:
        fputs(help, stdout);
        return -1;
    case OPTION_VERSION:
        puts("tombolo-state " TMB_VERSION);
        return -1;
    default:
        return STATE_USAGE;
    }
}

/* An option that there is not, or one that lacks its value. */
static int refuse_option(int option, const char *word)
{
    char letter[3] = {'-', (char)optopt, '\0'};
    const char *name = optopt > 0 && optopt < OPTION_CONFIG ? letter : word;
    return misuse(option == ':'
                      ? "a value is missing behind"
                      : "no option, or not like this (words that begin with - go behind --):",
                  name);
}

/* getopt takes "-5" for options; a mark before it keeps it a word until they have been read. */
#define MARK '\x01'

static char *marked(char *word)
{
    if (word[0] != '-' || strspn(word + 1, "0123456789.") == 0)
        return word;
    size_t len = strlen(word);
    char *out = malloc(len + 2);
    if (!out)
        return word;
    out[0] = MARK;
    memcpy(out + 1, word, len + 1);
    return out;
}

/* STATE_OK, or the exit code; -1: leave in good order. */
static int take_option(int option, state_options *o)
{
    const struct {
        int option;
        const char **text;
    } texts[] = {{OPTION_CONFIG, &o->config},   {'h', &o->host},
                 {OPTION_CAFILE, &o->ca_file},  {OPTION_CERT, &o->cert_file},
                 {OPTION_KEY, &o->key_file},    {'u', &o->user},
                 {'P', &o->password},           {OPTION_ROOT, &o->root},
                 {OPTION_JOURNAL, &o->journal}, {OPTION_TOKEN, &o->token},
                 {OPTION_IF, &o->condition},    {OPTION_ID, &o->id}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (texts[i].option == option) {
            *texts[i].text = optarg;
            return STATE_OK;
        }
    return take_special(option, o);
}

/* What the configuration says, where no option does. */
static void fill(state_options *o, const tmb_config *config)
{
    if (config && !o->host && config->broker.host) {
        o->host = config->broker.host;
        o->port = o->port ? o->port : config->broker.port;
        o->ca_file = o->ca_file ? o->ca_file : config->tls_ca_file;
        o->cert_file = o->cert_file ? o->cert_file : config->tls_cert_file;
        o->key_file = o->key_file ? o->key_file : config->tls_key_file;
    }
    if (config && !o->root)
        o->root = config->state.root;
    if (config && !o->journal)
        o->journal = config->data_dir;
    o->host = o->host ? o->host : "localhost";
    o->port = o->port ? o->port : o->ca_file ? 8883 : 1883;
    o->root = o->root ? o->root : "state";
    o->timeout_s = o->timeout_s ? o->timeout_s : 10;
}

static bool is_output(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *last = slash ? slash + 1 : path;
    return strcmp(last, tmb_state_output_str(TMB_STATE_OUTPUT_CONFLICTS)) == 0 ||
           strcmp(last, tmb_state_output_str(TMB_STATE_OUTPUT_ERROR)) == 0 ||
           strcmp(last, tmb_state_output_str(TMB_STATE_OUTPUT_DELTA)) == 0;
}

static int parse_target(const char *word, bool needs_path, state_target *target)
{
    const char *slash = strchr(word, '/');
    size_t len = slash ? (size_t)(slash - word) : strlen(word);
    const char *path = slash ? slash + 1 : "";
    if (!tmb_name_is_word(tmb_bytes_of(word, len)))
        return misuse("SCOPE is a name of a-z, 0-9, '.', '_' and '-' of at most 63, not that of",
                      word);
    snprintf(target->scope, sizeof target->scope, "%.*s", (int)len, word);
    if (path[0] == '\0')
        return needs_path ? misuse("SCOPE/PATH: the path is missing in", word) : STATE_OK;
    const char *why = tmb_state_path_check(tmb_bytes_str(path));
    if (why)
        return state_fail(STATE_USAGE, "%s: %s%s", word, why,
                          is_output(path) ? " (watch shows what is told of a value: conflicts, "
                                            "error, delta)"
                                          : "");
    snprintf(target->path, sizeof target->path, "%s", path);
    return STATE_OK;
}

/* What options say together. */
static int check(const state_options *o)
{
    if ((o->cert_file || o->key_file) && !o->ca_file)
        return misuse("--cert and --key go with --cafile, the authority of the broker's own", NULL);
    if (o->password && !o->user)
        return misuse("-P goes with -u NAME", NULL);
    return STATE_OK;
}

typedef struct command {
    const char *name;
    int (*run)(const state_options *options, const state_target *target);
    bool needs_path;
} command;

static bool has_verb_options(const state_options *options)
{
    return options->token || options->condition || options->id;
}

/* neighbours [SCOPE], retire SCOPE NEIGHBOUR; SCOPE may be a pattern. */
static int run_members(char **words, int count, const state_options *options)
{
    bool is_retire = strcmp(words[0], "retire") == 0;
    const char *scope = count > 1 ? words[1] : "*";
    if (is_retire && count != 3)
        return misuse("retire takes SCOPE NEIGHBOUR (\"*\" for all scopes)", NULL);
    if (count > 2 && !is_retire)
        return misuse("too many words, from", words[2]);
    if (options->has_since || options->is_below || has_verb_options(options))
        return misuse("--since, --below, --token, --if and --id are not for", words[0]);
    if (!tmb_name_pattern_is_valid(tmb_bytes_str(scope)))
        return misuse("SCOPE is a name of a-z, 0-9, '.', '_' and '-' of at most 63, or the "
                      "beginning of names and a *, not",
                      scope);
    if (is_retire && !tmb_name_is_word(tmb_bytes_str(words[2])))
        return misuse("NEIGHBOUR is the name of a node, not", words[2]);
    return is_retire ? state_retire(options, scope, words[2]) : state_neighbours(options, scope);
}

static const command commands[] = {{"get", state_get, true},
                                   {"list", state_list, false},
                                   {"watch", state_watch, false},
                                   {"conflicts", state_conflicts, true},
                                   {"history", state_history, false}};

static int refuse_command(const char *word)
{
    static const char *const names[] = {
#define WORD(name, number, word, type, takes) word,
        TMB_VERB_LIST(WORD)
#undef WORD
            "get",
        "list",
        "watch",
        "conflicts",
        "history",
        "neighbours",
        "retire"};
    tmb_verb meant = tmb_verb_meant(tmb_bytes_str(word));
    const char *near = meant != TMB_VERB_NONE
                           ? tmb_verb_str(meant)
                           : tmb_suggest(word, names, sizeof names / sizeof names[0]);
    char why[64];
    snprintf(why, sizeof why, "did you mean %s? There is no command", near ? near : "");
    return misuse(near ? why : "no such command:", word);
}

static int run(char **words, int count, const state_options *options)
{
    const command *c = NULL;
    if (strcmp(words[0], "neighbours") == 0 || strcmp(words[0], "retire") == 0)
        return run_members(words, count, options);
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        c = strcmp(words[0], commands[i].name) == 0 ? &commands[i] : c;
    tmb_verb verb = tmb_verb_of_word(tmb_bytes_str(words[0]));
    if (!c && verb == TMB_VERB_NONE)
        return refuse_command(words[0]);
    if (count < 2)
        return misuse("SCOPE/PATH is missing behind", words[0]);
    state_target target = {.scope = ""};
    int code = parse_target(words[1], c ? c->needs_path : true, &target);
    if (code != STATE_OK)
        return code;
    if ((options->has_since || options->is_below) && (!c || c->run != state_history))
        return misuse("--since and --below are for history, not for", words[0]);
    if (!c)
        return state_write(options, &target, verb, words + 2, count - 2);
    if (count > 2)
        return misuse("too many words, from", words[2]);
    if (has_verb_options(options))
        return misuse("--token, --if and --id are for verbs, not for", c->name);
    return c->run(options, &target);
}

int main(int argc, char **argv)
{
    state_options options = {.is_json = false};
    int option;
    signal(SIGPIPE, SIG_IGN); /* a closed pipe is the end of the output, not of the process */
    for (int i = 1; i < argc; i++)
        argv[i] = marked(argv[i]);
    while ((option = getopt_long(argc, argv, ":h:p:u:P:o:", long_options, NULL)) != -1) {
        bool is_bad = option == '?' || option == ':';
        int code = is_bad ? refuse_option(option, argv[optind - 1]) : take_option(option, &options);
        if (code)
            return code < 0 ? STATE_OK : code;
    }
    if (optind == argc)
        return misuse("a command is missing: get, list, watch, conflicts, history, neighbours, "
                      "retire, or a verb",
                      NULL);
    for (int i = optind; i < argc; i++)
        argv[i] += argv[i][0] == MARK;
    tmb_config *config = NULL;
    if (options.config && tmb_config_load(options.config, stderr, &config) != TMB_OK)
        return STATE_UNREACHABLE;
    fill(&options, config);
    int code = check(&options);
    if (code == STATE_OK)
        code = run(argv + optind, argc - optind, &options);
    tmb_config_free(config);
    return cli_end(code);
}

// SPDX-License-Identifier: Apache-2.0
/* tests/unit/daemon/test_main.c - the program from outside: arguments, exit codes, start, SIGTERM.
 *
 * argv[1]: tombolo-syncd.
 */
#define _DEFAULT_SOURCE /* mkdtemp */
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

extern char **environ;
static const char *program;
static char folder[64];
static char config[96];

static const char LONELY[] = "node: s1\ndomain: example.com\ndata_dir: data\n";

static void write_config(const char *text)
{
    FILE *out = fopen(config, "w");
    assert_non_null(out);
    assert_true(fputs(text, out) >= 0);
    assert_int_equal(fclose(out), 0);
}

static pid_t start(char *const argv[], int *ret_said)
{
    pid_t pid = -1;
    int said[2];
    posix_spawn_file_actions_t actions;
    assert_int_equal(pipe(said), 0);
    (void)posix_spawn_file_actions_init(&actions);
    (void)posix_spawn_file_actions_adddup2(&actions, said[1], 1);
    (void)posix_spawn_file_actions_adddup2(&actions, said[1], 2);
    (void)posix_spawn_file_actions_addclose(&actions, said[0]);
    assert_int_equal(posix_spawn(&pid, program, &actions, NULL, argv, environ), 0);
    (void)posix_spawn_file_actions_destroy(&actions);
    (void)close(said[1]);
    *ret_said = said[0];
    return pid;
}

/* Reads until word was said, or the end; text holds cap bytes. */
static bool listen_for(int said, const char *word, char *text, size_t cap)
{
    size_t len = strlen(text);
    while (!word || !strstr(text, word)) {
        ssize_t n = len + 1 < cap ? read(said, text + len, cap - 1 - len) : 0;
        if (n <= 0)
            return word == NULL;
        len += (size_t)n;
        text[len] = 0;
    }
    return true;
}

static int end_of(pid_t pid)
{
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void expect(char *const argv[], int exit_code, const char *words)
{
    char text[8192] = "";
    int said = -1;
    pid_t pid = start(argv, &said);
    assert_true(listen_for(said, NULL, text, sizeof text));
    (void)close(said);
    int code = end_of(pid);
    if (code != exit_code || !strstr(text, words))
        print_error("exit %d: %s\n", code, text);
    assert_int_equal(code, exit_code);
    assert_non_null(strstr(text, words));
}

static void test_arguments(void **state)
{
    (void)state;
    expect((char *[]){"syncd", "--help", NULL}, 0, "Usage: tombolo-syncd");
    expect((char *[]){"syncd", "--version", NULL}, 0, "tombolo-syncd ");
    expect((char *[]){"syncd", NULL}, 2, "--config FILE is needed");
    expect((char *[]){"syncd", "--confg", "x", NULL}, 2, "--help");
    expect((char *[]){"syncd", "--config", config, "more", NULL}, 2, "too many arguments");
    expect((char *[]){"syncd", "--config", config, "--check", "-o", "xml", NULL}, 2, "not \"xml\"");
}

static void test_configuration(void **state)
{
    (void)state;
    write_config("node: s1\ndomain: example.com\ndata_dri: data\n");
    expect((char *[]){"syncd", "--config", config, "--check", NULL}, 78, "data_dir");
    expect((char *[]){"syncd", "--config", "/nonexistent/x.yaml", NULL}, 78, "/nonexistent/x.yaml");
    write_config(LONELY);
    expect((char *[]){"syncd", "--config", config, "--check", NULL}, 0, "node: \"s1\"");
    expect((char *[]){"syncd", "--config", config, "--check", "-o", "json", NULL}, 0, "\"s1\"");
}

static void test_start_notify_and_stop(void **state)
{
    (void)state;
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    (void)snprintf(at.sun_path, sizeof at.sun_path, "%s/notify", folder);
    int notified = socket(AF_UNIX, SOCK_DGRAM, 0);
    assert_true(notified >= 0);
    assert_int_equal(bind(notified, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(setenv("NOTIFY_SOCKET", at.sun_path, 1), 0);
    assert_int_equal(setenv("JOURNAL_STREAM", "1:2", 1), 0);
    write_config(LONELY);
    for (int round = 1; round <= 2; round++) {
        char text[8192] = "", message[64] = "";
        int said = -1;
        pid_t pid = start((char *[]){"syncd", "--config", config, NULL}, &said);
        assert_true(recv(notified, message, sizeof message - 1, 0) > 0);
        assert_string_equal(message, "READY=1");
        assert_true(listen_for(said, round == 1 ? "start=1\n" : "start=2\n", text, sizeof text));
        assert_non_null(strstr(text, "<5>notice started node=s1"));
        assert_int_equal(kill(pid, SIGTERM), 0);
        assert_true(recv(notified, message, sizeof message - 1, 0) > 0);
        assert_memory_equal(message, "STOPPING=1", 10);
        assert_true(listen_for(said, NULL, text, sizeof text));
        (void)close(said);
        assert_int_equal(end_of(pid), 0);
        assert_non_null(strstr(text, "stopped"));
    }
    (void)close(notified);
    (void)unsetenv("NOTIFY_SOCKET");
    (void)unsetenv("JOURNAL_STREAM");
    char stats[128], line[512] = "";
    (void)snprintf(stats, sizeof stats, "%s/data/syncd.json", folder);
    FILE *in = fopen(stats, "r");
    assert_non_null(in);
    assert_non_null(fgets(line, sizeof line, in));
    (void)fclose(in);
    assert_non_null(strstr(line, "\"node\":\"s1\""));
    assert_non_null(strstr(line, "\"starts\":2"));
}

static int begin(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof folder, "/tmp/tmb-main-XXXXXX");
    assert_non_null(mkdtemp(folder));
    (void)snprintf(config, sizeof config, "%s/s1.yaml", folder);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    char command[96];
    (void)snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    program = argv[1];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arguments),
        cmocka_unit_test(test_configuration),
        cmocka_unit_test(test_start_notify_and_stop),
    };
    return cmocka_run_group_tests_name("main", tests, begin, finish);
}

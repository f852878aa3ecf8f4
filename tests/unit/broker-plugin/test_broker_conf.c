// SPDX-License-Identifier: Apache-2.0
/* mosquitto.conf: what is read out of it, and what stops the start with which cure. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker-plugin/broker_conf.h"

#define GOOD "persistence true\nmax_queued_messages 1000000\n"
#define OURS                                                                                       \
    "plugin /usr/lib/mosquitto/tombolo-mosquitto.so\nplugin_opt_config /etc/tombolo/s1.yaml\n"

#define BYTES(text) text, sizeof text

static char folder[] = "/tmp/tombolo-conf-XXXXXX";
static char main_file[64], include_folder[64];

static void put(const char *path, const char *text)
{
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    assert_true(fputs(text, out) >= 0);
    assert_int_equal(fclose(out), 0);
}

static tmb_broker_conf read_text(const char *text)
{
    tmb_broker_conf conf;
    put(main_file, text);
    assert_int_equal(tmb_broker_conf_read(main_file, &conf), TMB_OK);
    return conf;
}

/* told gives what the check writes: free(). */
static char *told(const tmb_broker_conf *conf, tmb_err expected)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    assert_non_null(out);
    assert_int_equal(tmb_broker_conf_check(conf, true, out), expected);
    fclose(out);
    return text;
}

static void expect_told(const char *text, const char *cure)
{
    tmb_broker_conf conf = read_text(text);
    char *lines = told(&conf, TMB_ECONFIG);
    if (!strstr(lines, cure) || !strstr(lines, main_file))
        fail_msg("told \"%s\" in place of \"%s\"", lines, cure);
    const char *end = strchr(lines, '\n');
    assert_non_null(end);
    assert_string_equal(end, "\n"); /* one line */
    free(lines);
}

static void a_good_file_passes(void **state)
{
    (void)state;
    tmb_broker_conf conf = read_text("# per_listener_settings true\n  persistence   true \r\n"
                                     "max_queued_messages 10000\npersistence_location /var/lib/x/\n"
                                     "per_listener_settings false\nlistener 1883\n\n" OURS);
    char *lines = told(&conf, TMB_OK);
    assert_string_equal(lines, "");
    free(lines);
    assert_string_equal(conf.db_file, "/var/lib/x//mosquitto.db");
    assert_string_equal(conf.file, main_file);
    assert_false(conf.has_acl_file);
    assert_false(conf.has_other_plugins);
    assert_int_equal(conf.max_queued_messages, 10000);
}

static void each_wrong_setting_is_told_with_its_cure(void **state)
{
    (void)state;
    expect_told("per_listener_settings true\n" GOOD, "set: per_listener_settings false\n");
    expect_told("max_queued_messages 1000000\n", "add: persistence true\n");
    expect_told(GOOD "persistence false\n", "add: persistence true\n");
    expect_told("persistence true\n", "set: max_queued_messages 1000000\n");
    expect_told(GOOD "max_queued_messages 0\n", "set: max_queued_messages 1000000\n");
    expect_told(GOOD "max_queued_messages 9999\n", "set: max_queued_messages 1000000\n");
    expect_told(GOOD "max_queued_messages 10000001\n", "set: max_queued_messages 1000000\n");
    expect_told(GOOD "max_queued_bytes 5\n", "set: max_queued_bytes 0\n");
    expect_told(GOOD "message_size_limit 100000\n", "set: message_size_limit 0\n");
    expect_told(GOOD "max_packet_size 33554431\n", "set: max_packet_size 33554432\n");
    expect_told(GOOD "plugin /x/other.so\n" OURS, "plugin .../tombolo-mosquitto.so\n");
}

static void large_packets_matter_where_there_are_children(void **state)
{
    (void)state;
    tmb_broker_conf conf = read_text(GOOD "max_packet_size 33554432\nmessage_size_limit 0\n");
    char *lines = told(&conf, TMB_OK);
    assert_string_equal(lines, "");
    free(lines);
    conf = read_text(GOOD "max_packet_size 2000\n");
    FILE *out = fopen("/dev/null", "w");
    assert_non_null(out);
    assert_int_equal(tmb_broker_conf_check(&conf, false, out), TMB_OK);
    assert_int_equal(tmb_broker_conf_check(&conf, true, out), TMB_ECONFIG);
    fclose(out);
}

static void values_of_state_are_retained_and_fit(void **state)
{
    (void)state;
    static const struct {
        const char *lines, *want;
    } list[] = {
        {"", ""},
        {"retain_available true\nmax_packet_size 278528\n", ""},
        {"retain_available false\n", "remove retain_available false\n"},
        {"max_packet_size 278527\n", "set: max_packet_size 278528, or a smaller state.value_max\n"},
    };
    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
        char text[512], *lines = NULL;
        size_t len = 0;
        snprintf(text, sizeof text, "%s%s", GOOD, list[i].lines);
        tmb_broker_conf conf = read_text(text);
        FILE *out = open_memstream(&lines, &len);
        assert_non_null(out);
        tmb_err err = tmb_broker_conf_check_state(&conf, 262144, out);
        assert_int_equal(fclose(out), 0);
        assert_int_equal(err, list[i].want[0] ? TMB_ECONFIG : TMB_OK);
        assert_non_null(strstr(lines, list[i].want));
        assert_true((len > 0) == (err != TMB_OK));
        free(lines);
    }
}

static void all_mistakes_are_told_at_once(void **state)
{
    (void)state;
    tmb_broker_conf conf = read_text("per_listener_settings 1\n");
    char *lines = told(&conf, TMB_ECONFIG);
    assert_non_null(strstr(lines, "per_listener_settings false"));
    assert_non_null(strstr(lines, "persistence true"));
    assert_non_null(strstr(lines, "max_queued_messages 1000000"));
    free(lines);
}

static void includes_are_read_from_the_main_file_only(void **state)
{
    (void)state;
    char path[128], text[256];
    snprintf(path, sizeof path, "%s/b.conf", include_folder);
    put(path,
        "acl_file /etc/acl\nauth_plugin /x/auth.so\npersistence_file b.db\ninclude_dir /nowhere\n");
    snprintf(path, sizeof path, "%s/a.conf", include_folder);
    put(path, GOOD OURS "persistence_file a.db\n");
    snprintf(path, sizeof path, "%s/c.conf.off", include_folder);
    put(path, "per_listener_settings true\n");
    snprintf(text, sizeof text, "include_dir %s\n", include_folder);
    tmb_broker_conf conf = read_text(text);
    assert_true(conf.has_acl_file);
    assert_false(conf.has_bridge);
    assert_true(conf.has_other_plugins);
    assert_false(conf.has_plugin_before);
    assert_false(conf.per_listener_settings);
    assert_string_equal(conf.db_file, "b.db");
    char *lines = told(&conf, TMB_OK);
    free(lines);
}

static void a_bridge_is_seen(void **state)
{
    (void)state;
    assert_true(read_text(GOOD "connection to-hub\naddress 127.0.0.1\n").has_bridge);
    assert_false(read_text(GOOD "connection_messages true\n").has_bridge);
}

#define OUT "connection out\naddress 127.0.0.1\ntopic t/# out 1\n"
#define V5  "bridge_protocol_version mqttv50\n"

static void a_bridge_that_may_stand_still_is_told(void **state)
{
    (void)state;
    static const struct {
        const char *lines, *want; /* want "": nothing is told */
    } list[] = {
        {"", ""},
        {OUT, "\"out\" speaks MQTT 3.1.1"},
        {OUT "bridge_protocol_version mqttv311\n", "add below its connection line: " V5},
        {OUT V5, ""},
        {"connection out\n" V5 "topic t/# out 1\n", ""},
        {OUT "max_inflight_messages 0\n", ""},
        {OUT "max_inflight_messages 100\n", "\"out\" speaks"},
        {"connection c\ntopic t/# in 2\n", ""},
        {"connection c\ntopic t/# both 1 a/ b/\n", "\"c\" speaks"},
        {"connection c\ntopic t/# both 2 a/ b/\n", "\"c\" sends with QoS 2"},
        {"connection c\ntopic t/# out 1\n" V5 "topic u/# out 2\ntopic v/# out 1\n", "\"c\" sends"},
        {"max_inflight_messages 0\nconnection c\ntopic t/# out 2\n", "give its topic lines QoS 1"},
        {OUT "connection d\ntopic t/# out 2\n", "\"d\" sends"},
        {"connection c\ntopic \"\" OUT 1 a b\n", "\"c\" speaks"},
        {"connection c\ntopic t/#\ntopic u/# out\ntopic v/# out 0\n", ""},
        {"connection c\ntopic t/# out 1\ntopic u/# in 1\n", "\"c\" speaks"},
        {OUT V5 "connection d\ntopic t/# out 1\n", "\"d\" speaks"},
        {OUT "connection d\ntopic t/# out 1\n", "\"out\" (the first of 2) speaks"},
        {OUT "connection d\n" V5 "topic t/# out 1\n", "\"out\" speaks"},
    };
    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
        char text[512], *lines = NULL;
        size_t len = 0;
        snprintf(text, sizeof text, "%s%s", GOOD, list[i].lines);
        tmb_broker_conf conf = read_text(text);
        FILE *out = open_memstream(&lines, &len);
        assert_non_null(out);
        tmb_broker_conf_warn(&conf, out);
        assert_int_equal(fclose(out), 0);
        print_message("%zu: %s", i, len > 0 ? lines : "nothing\n");
        assert_non_null(strstr(lines, list[i].want));
        assert_true((len > 0) == (list[i].want[0] != '\0'));
        free(lines);
    }
}

static void the_name_of_a_bridge_is_cut(void **state)
{
    (void)state;
    char text[512], name[2 * TMB_BRIDGE_NAME_BYTES];
    memset(name, 'b', sizeof name);
    name[sizeof name - 1] = '\0';
    snprintf(text, sizeof text, "%sconnection %s\ntopic t/# out 1\n", GOOD, name);
    tmb_broker_conf conf = read_text(text);
    assert_int_equal(conf.bridges_v3.count, 1);
    assert_int_equal(strlen(conf.bridges_v3.first), TMB_BRIDGE_NAME_BYTES - 1);
}

static void what_cannot_be_read_is_an_error(void **state)
{
    (void)state;
    tmb_broker_conf conf;
    assert_int_equal(tmb_broker_conf_read("/nowhere/mosquitto.conf", &conf), TMB_EIO);
    put(main_file, "include_dir /nowhere/at/all\n");
    assert_int_equal(tmb_broker_conf_read(main_file, &conf), TMB_EIO);
}

static void the_file_is_found_in_the_command_line(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t len;
        const char *file;
    } cases[] = {
        {BYTES("mosquitto\0-c\0/etc/m.conf\0-v"), "/etc/m.conf"},
        {BYTES("mosquitto\0-v\0--config-file\0x"), "x"},
        {BYTES("mosquitto\0-p\0001883"), NULL},
        {BYTES("mosquitto\0-c"), NULL},
    };
    for (size_t i = 0; i < 4; i++) {
        FILE *out = fopen(main_file, "w");
        assert_non_null(out);
        assert_int_equal(fwrite(cases[i].bytes, 1, cases[i].len, out), cases[i].len);
        fclose(out);
        char file[PATH_MAX] = "";
        tmb_err err = tmb_broker_conf_find(main_file, file);
        assert_int_equal(err, cases[i].file ? TMB_OK : TMB_ENOENT);
        assert_string_equal(file, cases[i].file ? cases[i].file : "");
    }
}

static int make_folder(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(main_file, sizeof main_file, "%s/mosquitto.conf", folder);
    snprintf(include_folder, sizeof include_folder, "%s/conf.d", folder);
    return mkdir(include_folder, 0700);
}

static int drop_folder(void **state)
{
    (void)state;
    static const char *const names[] = {"conf.d/a.conf", "conf.d/b.conf", "conf.d/c.conf.off",
                                        "mosquitto.conf", "conf.d"};
    for (size_t i = 0; i < 5; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        if (unlink(path) < 0)
            rmdir(path);
    }
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_good_file_passes),
        cmocka_unit_test(each_wrong_setting_is_told_with_its_cure),
        cmocka_unit_test(large_packets_matter_where_there_are_children),
        cmocka_unit_test(values_of_state_are_retained_and_fit),
        cmocka_unit_test(all_mistakes_are_told_at_once),
        cmocka_unit_test(includes_are_read_from_the_main_file_only),
        cmocka_unit_test(a_bridge_is_seen),
        cmocka_unit_test(a_bridge_that_may_stand_still_is_told),
        cmocka_unit_test(the_name_of_a_bridge_is_cut),
        cmocka_unit_test(what_cannot_be_read_is_an_error),
        cmocka_unit_test(the_file_is_found_in_the_command_line),
    };
    return cmocka_run_group_tests(tests, make_folder, drop_folder);
}

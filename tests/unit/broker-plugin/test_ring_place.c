// SPDX-License-Identifier: Apache-2.0
/* Where the buffers lie that must outlive the broker: never where they might not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker-plugin/ring_place.h"

static const tmb_ring_signs machine = {
    .user = 115, .first_name = "systemd", .cgroup = "0::/init.scope\n"};

static void a_machine_has_rings(void **state)
{
    (void)state;
    const char *why = NULL;
    assert_string_equal(tmb_ring_place("auto", &machine, &why), "/dev/shm");
    assert_non_null(why);
    tmb_ring_signs own = machine;
    own.has_own_folder = true;
    assert_string_equal(tmb_ring_place("auto", &own, &why), "/run/tombolo");
    own.user = 61184; /* a user of one start, but nobody cleans up in there */
    assert_string_equal(tmb_ring_place("auto", &own, &why), "/run/tombolo");
    own.has_mark = true;
    assert_null(tmb_ring_place("auto", &own, &why));
    assert_null(tmb_ring_place("off", &machine, &why));
    assert_string_equal(tmb_ring_place("/run/rings", &machine, &why), "/run/rings");
}

static void a_container_has_none_unless_told(void **state)
{
    (void)state;
    const char *why = NULL;
    tmb_ring_signs signs[] = {machine, machine, machine, machine, machine, machine};
    signs[0].is_first_process = true;
    signs[1].has_mark = true;
    snprintf(signs[2].cgroup, sizeof signs[2].cgroup, "12:memory:/docker/0123\n");
    snprintf(signs[3].cgroup, sizeof signs[3].cgroup, "0::/kubepods/besteffort/pod1\n");
    snprintf(signs[4].first_name, sizeof signs[4].first_name, "tini");
    signs[5].user = 61184;
    for (size_t i = 0; i < sizeof signs / sizeof signs[0]; i++) {
        why = NULL;
        assert_null(tmb_ring_place("auto", &signs[i], &why));
        assert_non_null(why);
        assert_string_equal(tmb_ring_place("/srv/memory", &signs[i], &why), "/srv/memory");
    }
}

static void put(const char *root, const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", root, name);
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    fputs(text, out);
    fclose(out);
}

static void the_signs_are_read(void **state)
{
    (void)state;
    char root[] = "/tmp/tombolo-signs-XXXXXX", path[256];
    static const char *const folders[] = {"proc", "proc/1", "run"};
    tmb_ring_signs signs;
    unsetenv("container");
    unsetenv("KUBERNETES_SERVICE_HOST");
    assert_non_null(mkdtemp(root));
    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", root, folders[i]);
        assert_int_equal(mkdir(path, 0700), 0);
    }
    put(root, "proc/1/comm", "systemd\n");
    put(root, "proc/1/cgroup", "0::/init.scope\n");
    tmb_ring_signs_read(root, &signs);
    assert_string_equal(signs.first_name, "systemd");
    assert_string_equal(signs.cgroup, "0::/init.scope\n");
    assert_false(signs.has_mark);
    assert_false(signs.is_first_process);
    assert_int_equal(signs.user, geteuid());
    assert_false(signs.has_own_folder);
    snprintf(path, sizeof path, "%s/run/tombolo", root);
    assert_int_equal(mkdir(path, 0700), 0);
    tmb_ring_signs_read(root, &signs);
    assert_true(signs.has_own_folder);
    assert_int_equal(chmod(path, 0770), 0);
    tmb_ring_signs_read(root, &signs);
    assert_false(signs.has_own_folder);
    rmdir(path);
    setenv("container", "podman", 1);
    tmb_ring_signs_read(root, &signs);
    assert_true(signs.has_mark);
    unsetenv("container");
    put(root, "run/.containerenv", "");
    tmb_ring_signs_read(root, &signs);
    assert_true(signs.has_mark);
    static const char *const files[] = {"run/.containerenv", "proc/1/comm", "proc/1/cgroup"};
    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", root, files[i]);
        unlink(path);
    }
    tmb_ring_signs_read(root, &signs);
    assert_string_equal(signs.first_name, ""); /* not known: no ring */
    const char *why = NULL;
    assert_null(tmb_ring_place("auto", &signs, &why));
    for (size_t i = 3; i > 0; i--) {
        snprintf(path, sizeof path, "%s/%s", root, folders[i == 2 ? 1 : i == 1 ? 0 : 2]);
        rmdir(path);
    }
    rmdir(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_machine_has_rings),
        cmocka_unit_test(a_container_has_none_unless_told),
        cmocka_unit_test(the_signs_are_read),
    };
    return cmocka_run_group_tests_name("plugin.ring_place", tests, NULL, NULL);
}

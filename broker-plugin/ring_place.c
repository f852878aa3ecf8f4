// SPDX-License-Identifier: Apache-2.0
/* broker-plugin/ring_place.c - see broker-plugin/ring_place.h. */
#include "broker-plugin/ring_place.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Users that systemd makes for one start of a service (DynamicUser): it removes their files from /dev/shm. */
#define DYNAMIC_USER_MIN 61184u
#define DYNAMIC_USER_MAX 65519u

static bool is_there(const char *root, const char *file)
{
    char path[PATH_MAX];
    return snprintf(path, sizeof path, "%s%s", root, file) < (int)sizeof path &&
           access(path, F_OK) == 0;
}

/* A folder that nobody else may put anything into. */
static bool is_own_folder(const char *root, const char *folder, uid_t user)
{
    char path[PATH_MAX];
    struct stat st;
    return snprintf(path, sizeof path, "%s%s", root, folder) < (int)sizeof path &&
           lstat(path, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == user &&
           (st.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

static void read_text(const char *root, const char *file, char *text, size_t cap)
{
    char path[PATH_MAX];
    text[0] = '\0';
    if (snprintf(path, sizeof path, "%s%s", root, file) >= (int)sizeof path)
        return;
    FILE *in = fopen(path, "r");
    if (!in)
        return;
    size_t len = fread(text, 1, cap - 1, in);
    text[len] = '\0';
    fclose(in);
}

void tmb_ring_signs_read(const char *root, tmb_ring_signs *ret_signs)
{
    static const char *const variables[] = {"container", "KUBERNETES_SERVICE_HOST"};
    static const char *const marks[] = {"/.dockerenv", "/run/.containerenv"};
    tmb_ring_signs signs = {.is_first_process = getpid() == 1, .user = geteuid()};
    for (size_t i = 0; i < 2; i++)
        signs.has_mark |= getenv(variables[i]) != NULL || is_there(root, marks[i]);
    signs.has_own_folder = is_own_folder(root, TMB_RING_FOLDER_OWN, signs.user);
    read_text(root, "/proc/1/comm", signs.first_name, sizeof signs.first_name);
    signs.first_name[strcspn(signs.first_name, "\n")] = '\0';
    read_text(root, "/proc/1/cgroup", signs.cgroup, sizeof signs.cgroup);
    *ret_signs = signs;
}

/* Process 1 of a machine; in a container it is the program itself, or a shell that starts it. */
static bool is_init(const char *name)
{
    static const char *const names[] = {"systemd",     "init",  "procd",
                                        "openrc-init", "runit", "dinit"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

static bool names_container(const char *cgroup)
{
    static const char *const words[] = {"docker", "kubepods",   "lxc",
                                        "libpod", "containerd", "crio"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strstr(cgroup, words[i]))
            return true;
    return false;
}

const char *tmb_ring_place(const char *setting, const tmb_ring_signs *signs, const char **ret_why)
{
    if (strcmp(setting, "off") == 0) {
        *ret_why = "journal.ring is off";
        return NULL;
    }
    if (strcmp(setting, "auto") != 0) {
        *ret_why = "as configured";
        return setting;
    }
    if (signs->is_first_process || signs->has_mark || names_container(signs->cgroup) ||
        !is_init(signs->first_name)) {
        *ret_why = "this looks like a container, whose memory ends with it; set journal.ring to a "
                   "tmpfs of the host to have one";
        return NULL;
    }
    if (signs->has_own_folder) {
        *ret_why = "it outlives the broker, and is this user's alone";
        return TMB_RING_FOLDER_OWN;
    }
    if (signs->user >= DYNAMIC_USER_MIN && signs->user <= DYNAMIC_USER_MAX) {
        *ret_why = "the service manager removes this user's files from " TMB_RING_FOLDER
                   " when the broker ends";
        return NULL;
    }
    *ret_why = "it outlives the broker";
    return TMB_RING_FOLDER;
}

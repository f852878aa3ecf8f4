// SPDX-License-Identifier: Apache-2.0
/* journal/tail_watch.c - a descriptor that turns readable when the log has changed.
 *
 * While the stream's folder does not exist, the nearest folder above it that does is watched for something
 * being made in it. The watch is set first and the folder tried again after, so nothing is made unseen.
 */
#include <sys/inotify.h>
#include <unistd.h>

#include "journal/tail_inside.h"

#define FOLDER_EVENTS                                                                              \
    (IN_MODIFY | IN_CREATE | IN_MOVED_TO | IN_DELETE | IN_DELETE_SELF | IN_ONLYDIR)
#define ABOVE_EVENTS (IN_CREATE | IN_MOVED_TO | IN_DELETE_SELF | IN_ONLYDIR)

/* Cuts the last name off path; false at the top. */
static bool go_up(tmb_path *path)
{
    size_t len = strlen(path->text);
    while (len > 0 && path->text[len - 1] != '/')
        len--;
    while (len > 1 && path->text[len - 1] == '/')
        len--;
    if (len == 0) {
        bool was_here = strcmp(path->text, ".") == 0;
        memcpy(path->text, ".", 2);
        return !was_here;
    }
    bool is_top = path->text[len] == '\0';
    path->text[len] = '\0';
    return !is_top;
}

static bool watch_folder(tmb_tail *tail)
{
    int id = inotify_add_watch(tail->watch_fd, tail->folder.text, FOLDER_EVENTS);
    if (id < 0)
        return false;
    if (tail->watch_id >= 0 && tail->watch_id != id)
        inotify_rm_watch(tail->watch_fd, tail->watch_id);
    tail->watch_id = id;
    return true;
}

/* A folder that appears between a look at it and the watch above it is found by the second look. */
static void watch(tmb_tail *tail)
{
    tmb_path path = tail->folder;
    if (watch_folder(tail))
        return;
    while (go_up(&path)) {
        int id = inotify_add_watch(tail->watch_fd, path.text, ABOVE_EVENTS);
        if (id < 0)
            continue;
        if (tail->watch_id >= 0 && tail->watch_id != id)
            inotify_rm_watch(tail->watch_fd, tail->watch_id);
        tail->watch_id = id;
        watch_folder(tail);
        return;
    }
}

int tmb_tail_watch_fd(tmb_tail *tail)
{
    if (tail->watch_fd < 0) {
        tail->watch_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
        if (tail->watch_fd >= 0)
            watch(tail);
    }
    return tail->watch_fd;
}

void tmb_tail_watch_clear(tmb_tail *tail)
{
    _Alignas(struct inotify_event) char events[4096];
    bool is_gone = false;
    if (tail->watch_fd < 0)
        return;
    for (;;) {
        ssize_t len = read(tail->watch_fd, events, sizeof events);
        if (len <= 0)
            break;
        for (ssize_t at = 0; at < len;) {
            struct inotify_event event;
            memcpy(&event, events + at, sizeof event);
            if (event.wd == tail->watch_id && (event.mask & (IN_DELETE_SELF | IN_IGNORED)))
                is_gone = true;
            at += (ssize_t)(sizeof event + event.len);
        }
    }
    if (is_gone)
        tail->watch_id = -1;
    /* Also when all is well: the folder may have been moved away with one above it, and another be in its
     * place, which makes no event. */
    watch(tail);
}

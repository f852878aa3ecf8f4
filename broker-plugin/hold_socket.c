// SPDX-License-Identifier: Apache-2.0
/* broker-plugin/hold_socket.c - identity, kind and free room of a socket, as Linux tells them. */
#define _DEFAULT_SOURCE /* SO_MEMINFO and the like */
#include "broker-plugin/hold_socket.h"

#include <arpa/inet.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

/* A socket begins with room for at least 16 KiB, of the kernel's bookkeeping as well. */
#define LITTLE_BYTES 8192

bool tmb_socket_id(int fd, tmb_file_id *ret_id)
{
    struct stat st;
    if (fstat(fd, &st) < 0 || !S_ISSOCK(st.st_mode))
        return false;
    *ret_id = (tmb_file_id){st.st_dev, st.st_ino};
    return true;
}

bool tmb_socket_is(int fd, const tmb_file_id *id)
{
    tmb_file_id is;
    return tmb_socket_id(fd, &is) && is.dev == id->dev && is.ino == id->ino;
}

static bool is_peer(int fd, const char *address)
{
    struct sockaddr_storage peer;
    socklen_t len = sizeof peer;
    char text[INET6_ADDRSTRLEN] = "";
    if (getpeername(fd, (struct sockaddr *)&peer, &len) < 0)
        return false;
    const void *at = peer.ss_family == AF_INET
                         ? (const void *)&((const struct sockaddr_in *)&peer)->sin_addr
                         : (const void *)&((const struct sockaddr_in6 *)&peer)->sin6_addr;
    return inet_ntop(peer.ss_family, at, text, sizeof text) && strcmp(text, address) == 0;
}

static int option(int fd, int name)
{
    int value = -1;
    socklen_t len = sizeof value;
    return getsockopt(fd, SOL_SOCKET, name, &value, &len) == 0 ? value : -1;
}

bool tmb_socket_fits(int fd, const char *address)
{
    int domain = option(fd, SO_DOMAIN);
    char layer[16] = "";
    socklen_t len = sizeof layer;
    if ((domain != AF_INET && domain != AF_INET6) || option(fd, SO_PROTOCOL) != IPPROTO_TCP)
        return false;
    if (getsockopt(fd, IPPROTO_TCP, TCP_ULP, layer, &len) == 0 && len > 0 && layer[0])
        return false;
    return is_peer(fd, address);
}

bool tmb_socket_has_sent_little(int fd)
{
    struct tcp_info info = {0};
    socklen_t len = sizeof info;
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0 ||
        len < offsetof(struct tcp_info, tcpi_bytes_sent) + sizeof info.tcpi_bytes_sent)
        return false;
    return info.tcpi_bytes_sent + info.tcpi_notsent_bytes <= LITTLE_BYTES;
}

size_t tmb_socket_room(int fd)
{
    unsigned memory[SK_MEMINFO_VARS] = {0};
    socklen_t len = sizeof memory;
    if (getsockopt(fd, SOL_SOCKET, SO_MEMINFO, memory, &len) < 0 || len < sizeof memory)
        return 0;
    unsigned limit = memory[SK_MEMINFO_SNDBUF], used = memory[SK_MEMINFO_WMEM_QUEUED];
    return used <= limit / 4 ? (limit - used) / 2 : 0;
}

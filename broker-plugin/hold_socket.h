// SPDX-License-Identifier: Apache-2.0
/* broker-plugin/hold_socket.h - what hold.c asks the system about a client's socket.
 *
 * Threads: any. Cost: the system calls that each names.
 */
#ifndef TMB_BROKER_PLUGIN_HOLD_SOCKET_H
#define TMB_BROKER_PLUGIN_HOLD_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* A file, whatever number it has at the moment. */
typedef struct tmb_file_id {
    dev_t dev;
    ino_t ino;
} tmb_file_id;

/* tmb_socket_id: false when fd is no socket. One fstat. */
bool tmb_socket_id(int fd, tmb_file_id *ret_id);
bool tmb_socket_is(int fd, const tmb_file_id *id);

/* tmb_socket_fits says whether fd is a plain TCP connection to address, and has no record layer in the kernel
 * (which would not see what goes through a pair). Five calls, once a connection. */
bool tmb_socket_fits(int fd, const char *address);

/* tmb_socket_has_sent_little: so little since it began that no write was ever refused. One getsockopt. */
bool tmb_socket_has_sent_little(int fd);

/* tmb_socket_room gives how many bytes the socket surely takes at once; 0: it is more than a quarter full, or
 * unknown. One getsockopt. */
size_t tmb_socket_room(int fd);

#endif

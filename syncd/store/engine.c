// SPDX-License-Identifier: Apache-2.0
/* syncd/store/engine.c - RocksDB, opened with care.
 *
 * What bit others, and what is done here (docs/adr/0002-rocksdb-in-syncd.md has the measurements):
 *  - Debian's build asserts: when its info log meets a full disk, the process is aborted. So the info log
 *    lives in a folder of its own in memory, and at level FATAL nothing is written to it.
 *  - The default recovery stops at the first bad byte of the write-ahead log and opens without a word.
 *    Absolute consistency refuses to open instead; store.c then sets the folder aside and says so. Where not
 *    every write is synced, a power cut may leave the last record half written: that, and only at the end, is
 *    taken for what it is.
 *  - Defaults are made for servers: 64 MiB of write buffer, an 8 MiB cache, statistics every ten minutes.
 *    This store holds a few numbers a child.
 *
 * Foreign memory (rocksdb_free) stays in this file.
 */
#include "syncd/store/engine_inside.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define INFO_LOG_LEVEL_FATAL 4

/* A few numbers a child. */
static const tmb_engine_size SMALL = {.write_buffer_bytes = 1024 * 1024, .cache_bytes = 256 * 1024};

/* RocksDB's C interface tells what went wrong in words alone. */
static tmb_err classify(const char *message)
{
    if (strstr(message, "No space left on device"))
        return TMB_ENOSPC;
    if (strstr(message, "Resource temporarily unavailable") ||
        strstr(message, "No locks available") || strstr(message, "lock hold by current process"))
        return TMB_EBUSY;
    if (strstr(message, "Permission denied") || strstr(message, "Read-only file system") ||
        strstr(message, "Input/output error") || strstr(message, "Too many open files") ||
        strstr(message, "Not a directory"))
        return TMB_EIO;
    if (strstr(message, "IO error") && !strstr(message, "No such file"))
        return TMB_EIO;
    return TMB_ECORRUPT;
}

tmb_err tmb_engine_error(char *message, char *text, size_t text_cap)
{
    tmb_err err = classify(message);
    if (text)
        (void)snprintf(text, text_cap, "%s", message);
    rocksdb_free(message);
    return err;
}

/* A folder for the info log that is not on the data's file system. */
static bool make_log_folder(char *out, size_t cap)
{
    const char *bases[] = {getenv("RUNTIME_DIRECTORY"), "/dev/shm", "/run", "/tmp"};
    for (size_t i = 0; i < sizeof bases / sizeof *bases; i++) {
        if (!bases[i] || strchr(bases[i], ':'))
            continue;
        (void)snprintf(out, cap, "%s/tombolo-rocksdb-XXXXXX", bases[i]);
        if (mkdtemp(out))
            return true;
    }
    return false;
}

/* The log file is open and empty by now; nothing has to stay behind, whatever becomes of this process. */
static void remove_log_folder(const char *path)
{
    DIR *folder = opendir(path);
    if (!folder)
        return;
    for (struct dirent *entry = readdir(folder); entry; entry = readdir(folder)) {
        if (entry->d_name[0] != '.')
            (void)unlinkat(dirfd(folder), entry->d_name, 0);
    }
    (void)closedir(folder);
    (void)rmdir(path);
}

static void set_options(tmb_engine *engine, const tmb_engine_size *size)
{
    rocksdb_options_t *o = engine->options;
    rocksdb_options_set_create_if_missing(o, 1);
    rocksdb_options_set_paranoid_checks(o, 1);
    rocksdb_options_set_wal_recovery_mode(o, size->has_unsynced
                                                 ? rocksdb_tolerate_corrupted_tail_records_recovery
                                                 : rocksdb_absolute_consistency_recovery);
    rocksdb_options_set_info_log_level(o, INFO_LOG_LEVEL_FATAL);
    rocksdb_options_set_keep_log_file_num(o, 1);
    rocksdb_options_set_stats_dump_period_sec(o, 0);
    rocksdb_options_set_stats_persist_period_sec(o, 0);
    rocksdb_options_set_write_buffer_size(o, size->write_buffer_bytes);
    rocksdb_options_set_max_write_buffer_number(o, 2);
    rocksdb_options_set_arena_block_size(o, 64 * 1024);
    rocksdb_options_set_max_background_jobs(o, 2);
    rocksdb_options_set_max_open_files(o, 64);
    rocksdb_options_set_max_file_opening_threads(o, 1);
    rocksdb_options_set_max_manifest_file_size(o, 1024 * 1024);
    rocksdb_options_set_compression(o, rocksdb_no_compression);

    rocksdb_block_based_table_options_t *table = rocksdb_block_based_options_create();
    rocksdb_block_based_options_set_block_cache(table, engine->cache);
    if (size->bloom_bits > 0) /* the table owns it */
        rocksdb_block_based_options_set_filter_policy(
            table, rocksdb_filterpolicy_create_bloom_full(size->bloom_bits));
    if (size->bloom_bits > 0) { /* for what is still in memory, too */
        rocksdb_options_set_memtable_whole_key_filtering(o, 1);
        rocksdb_options_set_memtable_prefix_bloom_size_ratio(o, 0.1);
    }
    rocksdb_options_set_block_based_table_factory(o, table);
    rocksdb_block_based_options_destroy(table);

    rocksdb_readoptions_set_verify_checksums(engine->reading, 1);
    rocksdb_writeoptions_set_sync(engine->writing, 1);
    engine->later = rocksdb_writeoptions_create();
}

tmb_err tmb_engine_open(const char *path, tmb_engine **ret_engine, char *text, size_t text_cap)
{
    return tmb_engine_open_sized(path, &SMALL, ret_engine, text, text_cap);
}

tmb_err tmb_engine_open_sized(const char *path, const tmb_engine_size *size,
                              tmb_engine **ret_engine, char *text, size_t text_cap)
{
    tmb_engine *engine = calloc(1, sizeof *engine);
    if (!engine)
        return TMB_ENOMEM;
    engine->options = rocksdb_options_create();
    engine->reading = rocksdb_readoptions_create();
    engine->writing = rocksdb_writeoptions_create();
    engine->cache = rocksdb_cache_create_lru(size->cache_bytes);
    set_options(engine, size);

    char log_folder[256];
    bool has_log_folder = make_log_folder(log_folder, sizeof log_folder);
    if (has_log_folder)
        rocksdb_options_set_db_log_dir(engine->options, log_folder);
    char *message = NULL;
    engine->db = rocksdb_open(engine->options, path, &message);
    if (has_log_folder)
        remove_log_folder(log_folder);
    if (message) {
        tmb_err err = tmb_engine_error(message, text, text_cap);
        tmb_engine_close(engine);
        return err;
    }
    *ret_engine = engine;
    return TMB_OK;
}

void tmb_engine_close(tmb_engine *engine)
{
    if (!engine)
        return;
    if (engine->db)
        rocksdb_close(engine->db);
    rocksdb_options_destroy(engine->options);
    rocksdb_readoptions_destroy(engine->reading);
    rocksdb_writeoptions_destroy(engine->writing);
    rocksdb_writeoptions_destroy(engine->later);
    rocksdb_cache_destroy(engine->cache);
    free(engine);
}

tmb_err tmb_engine_get(tmb_engine *engine, tmb_bytes key, uint8_t *out, size_t cap, size_t *ret_len)
{
    char *message = NULL;
    size_t len = 0;
    char *value =
        rocksdb_get(engine->db, engine->reading, (const char *)key.ptr, key.len, &len, &message);
    if (message)
        return tmb_engine_error(message, NULL, 0);
    if (!value)
        return TMB_ENOENT;
    memcpy(out, value, len < cap ? len : cap);
    rocksdb_free(value);
    *ret_len = len;
    return TMB_OK;
}

tmb_err tmb_engine_put(tmb_engine *engine, tmb_bytes key, tmb_bytes value)
{
    char *message = NULL;
    rocksdb_put(engine->db, engine->writing, (const char *)key.ptr, key.len,
                (const char *)value.ptr, value.len, &message);
    return message ? tmb_engine_error(message, NULL, 0) : TMB_OK;
}

tmb_err tmb_engine_drop(tmb_engine *engine, tmb_bytes prefix, tmb_bytes key, tmb_bytes value)
{
    rocksdb_writebatch_t *batch = rocksdb_writebatch_create();
    rocksdb_iterator_t *it = rocksdb_create_iterator(engine->db, engine->reading);
    char *message = NULL;
    for (rocksdb_iter_seek(it, (const char *)prefix.ptr, prefix.len); rocksdb_iter_valid(it);
         rocksdb_iter_next(it)) {
        size_t len = 0;
        const char *at = rocksdb_iter_key(it, &len);
        if (len < prefix.len || memcmp(at, prefix.ptr, prefix.len) != 0)
            break;
        rocksdb_writebatch_delete(batch, at, len);
    }
    rocksdb_iter_get_error(it, &message);
    rocksdb_iter_destroy(it);
    if (!message) {
        rocksdb_writebatch_put(batch, (const char *)key.ptr, key.len, (const char *)value.ptr,
                               value.len);
        rocksdb_write(engine->db, engine->writing, batch, &message);
    }
    rocksdb_writebatch_destroy(batch);
    return message ? tmb_engine_error(message, NULL, 0) : TMB_OK;
}

/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Copyright (C) 2026 The Provisioner Authors */

// Preload library that reverses the order of directory entries and shifts the clock by a year, so that
// results depending on either differ between two builds. Only affects dynamically linked programs.
// libfaketime is no alternative: cargo hangs under it.
//
//   cc -shared -fPIC -o otherwise.so otherwise.c && LD_PRELOAD=$PWD/otherwise.so ls -U

#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define YEAR (365 * 24 * 60 * 60)

// Remaining entries of an open folder.
struct folder {
    DIR *stream;
    struct dirent64 **entries;
    size_t left;
    struct dirent64 *given;
    struct folder *next;
};

static struct folder *folders;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static struct folder **place(DIR *stream) {
    struct folder **at = &folders;
    while (*at && (*at)->stream != stream) at = &(*at)->next;
    return at;
}

static void forget(DIR *stream) {
    struct folder **at = place(stream);
    struct folder *folder = *at;
    if (!folder) return;
    *at = folder->next;
    while (folder->left) free(folder->entries[--folder->left]);
    free(folder->entries);
    free(folder->given);
    free(folder);
}

static struct folder *list(DIR *stream) {
    struct dirent64 *(*real)(DIR *) = dlsym(RTLD_NEXT, "readdir64");
    struct folder *folder = calloc(1, sizeof *folder);
    if (!real || !folder) abort();
    folder->stream = stream;
    for (struct dirent64 *entry; (entry = real(stream));) {
        folder->entries = realloc(folder->entries, (folder->left + 1) * sizeof entry);
        struct dirent64 *copy = malloc(entry->d_reclen);
        if (!folder->entries || !copy) abort();
        folder->entries[folder->left++] = memcpy(copy, entry, entry->d_reclen);
    }
    folder->next = folders;
    return folders = folder;
}

struct dirent64 *readdir64(DIR *stream) {
    pthread_mutex_lock(&lock);
    struct folder *folder = *place(stream);
    if (!folder) folder = list(stream);
    free(folder->given);
    folder->given = folder->left ? folder->entries[--folder->left] : NULL;
    struct dirent64 *given = folder->given;
    pthread_mutex_unlock(&lock);
    return given;
}

// On 64-bit Linux both structures are the same.
struct dirent *readdir(DIR *stream) { return (struct dirent *)readdir64(stream); }

void rewinddir(DIR *stream) {
    void (*real)(DIR *) = dlsym(RTLD_NEXT, "rewinddir");
    pthread_mutex_lock(&lock);
    forget(stream);
    pthread_mutex_unlock(&lock);
    real(stream);
}

int closedir(DIR *stream) {
    int (*real)(DIR *) = dlsym(RTLD_NEXT, "closedir");
    pthread_mutex_lock(&lock);
    forget(stream);
    pthread_mutex_unlock(&lock);
    return real(stream);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int result = syscall(SYS_clock_gettime, clock, now);
    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += YEAR;
    return result;
}

int gettimeofday(struct timeval *now, void *zone) {
    (void)zone;
    struct timespec fine;
    int result = clock_gettime(CLOCK_REALTIME, &fine);
    now->tv_sec = fine.tv_sec;
    now->tv_usec = fine.tv_nsec / 1000;
    return result;
}

time_t time(time_t *where) {
    struct timespec fine;
    clock_gettime(CLOCK_REALTIME, &fine);
    if (where) *where = fine.tv_sec;
    return fine.tv_sec;
}

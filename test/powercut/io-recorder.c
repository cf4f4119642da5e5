// Preloaded into a program, records in one order everything it does to the files below a directory,
// so that the states a power cut could leave can be built from the record (crash-model.mjs).
//
//   LD_PRELOAD=io-recorder.so RECORD_DIR=... RECORD_LOG=... RECORD_MARKS=... program
//
//   RECORD_DIR    the directory; absolute, without symbolic links, as the program will spell it
//   RECORD_LOG    the record (recording.mjs reads it): lines of fields separated by tabs, "write"
//   and
//                 "mark" followed by their bytes. Files are inodes, because names move
//   RECORD_MARKS  a file outside of it: each write(2) to it is a mark in the same order
//   RECORD_DROP   a planted bug: "sync" makes flushing a file, "dirsync" flushing a directory do
//                 nothing and succeed
//
// Seen: calls through the C library. Not seen: stores through mmap, io_uring, calls by number; the
// runner finds out by comparing its replay of the record with the real directory.
// Threads: any; calls that are recorded run one at a time, so the record's order is the real one.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { kMaxFds = 4096 };
enum kind { kNothing, kFile, kDirectory, kMarks };

struct known_fd {
  enum kind kind;
  uint64_t inode;
  bool dsync;           // opened with O_DSYNC: what is written through it is durable on return
  char path[PATH_MAX];  // relative to RECORD_DIR, as it was when the descriptor was opened
};

static struct known_fd* known;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static int record_fd = -1;
static const char *record_dir, *marks_path;
static bool drop_sync, drop_dirsync;

// The function that this library stands in front of. Checked where it is called: a missing one is a
// crash either way.
#define REAL(result, name, ...)       \
  static result (*real)(__VA_ARGS__); \
  if (real == NULL) *(void**)&real = dlsym(RTLD_NEXT, #name)

static void Die(const char* why) {
  fprintf(stderr, "io-recorder: %s\n", why);
  abort();
}

__attribute__((constructor)) static void Start(void) {
  const char* log = getenv("RECORD_LOG");
  const char* drop = getenv("RECORD_DROP");
  record_dir = getenv("RECORD_DIR");
  marks_path = getenv("RECORD_MARKS");
  if (log == NULL || record_dir == NULL) return;
  known = calloc(kMaxFds, sizeof *known);
  if (known == NULL) Die("no memory");
  drop_sync = drop != NULL && strcmp(drop, "sync") == 0;
  drop_dirsync = drop != NULL && strcmp(drop, "dirsync") == 0;
  record_fd =
      (int)syscall(SYS_openat, AT_FDCWD, log, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
  if (record_fd < 0) Die("cannot create RECORD_LOG");
}

static void Put(const void* data, size_t size) {
  const char* at = data;
  while (size > 0) {
    const ssize_t put = syscall(SYS_write, record_fd, at, size);
    if (put <= 0 && errno != EINTR) Die("cannot write RECORD_LOG");
    if (put <= 0) continue;
    at += put;
    size -= (size_t)put;
  }
}

__attribute__((format(printf, 1, 2))) static void Line(const char* format, ...) {
  char line[2 * PATH_MAX + 128];
  va_list arguments;
  va_start(arguments, format);
  const int size = vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  if (size < 0 || (size_t)size >= sizeof line) Die("a line that is too long");
  Put(line, (size_t)size);
}

// The path below RECORD_DIR, "." for itself; NULL where it is elsewhere.
static const char* Below(const char* path) {
  if (record_fd < 0 || path == NULL) return NULL;
  const size_t length = strlen(record_dir);
  if (strncmp(path, record_dir, length) != 0) return NULL;
  if (path[length] == 0) return ".";
  return path[length] == '/' ? path + length + 1 : NULL;
}

static struct known_fd* Known(int fd) {
  if (record_fd < 0 || fd < 0 || fd >= kMaxFds) return NULL;
  return known[fd].kind == kNothing ? NULL : &known[fd];
}

static struct known_fd* KnownFile(int fd) {
  struct known_fd* file = Known(fd);
  return file != NULL && file->kind == kFile ? file : NULL;
}

// Notes what a descriptor is, and records that its file was created or emptied.
static void Opened(int fd, const char* path, const char* below, int flags, bool existed) {
  if (fd >= kMaxFds) Die("too many descriptors");
  struct stat info;
  if (fstat(fd, &info) != 0) Die("cannot look at an open file");
  struct known_fd* file = &known[fd];
  file->kind = kNothing;
  if (marks_path != NULL && strcmp(path, marks_path) == 0) file->kind = kMarks;
  if (below == NULL) return;
  file->kind = S_ISDIR(info.st_mode) ? kDirectory : kFile;
  file->inode = info.st_ino;
  file->dsync = (flags & O_DSYNC) != 0;
  snprintf(file->path, sizeof file->path, "%s", below);
  if (file->kind != kFile) return;
  if (!existed) {
    Line("create\t%" PRIu64 "\t%s\n", file->inode, below);
  } else if ((flags & O_TRUNC) != 0) {
    Line("size\t%" PRIu64 "\t0\n", file->inode);
  }
}

#define OPEN(name)                                                  \
  int name(const char* path, int flags, ...) {                      \
    REAL(int, name, const char*, int, ...);                         \
    mode_t mode = 0;                                                \
    if ((flags & (O_CREAT | O_TMPFILE)) != 0) {                     \
      va_list arguments;                                            \
      va_start(arguments, flags);                                   \
      mode = va_arg(arguments, mode_t);                             \
      va_end(arguments);                                            \
    }                                                               \
    if (record_fd < 0) return real(path, flags, mode);              \
    pthread_mutex_lock(&mutex);                                     \
    struct stat before;                                             \
    const char* below = Below(path);                                \
    const bool existed = below == NULL || stat(path, &before) == 0; \
    const int fd = real(path, flags, mode);                         \
    const int sys_errno = errno;                                    \
    if (fd >= 0) Opened(fd, path, below, flags, existed);           \
    pthread_mutex_unlock(&mutex);                                   \
    errno = sys_errno;                                              \
    return fd;                                                      \
  }
OPEN(open)
OPEN(open64)

int close(int fd) {
  REAL(int, close, int);
  if (Known(fd) == NULL) return real(fd);
  pthread_mutex_lock(&mutex);
  known[fd].kind = kNothing;
  const int result = real(fd);
  pthread_mutex_unlock(&mutex);
  return result;
}

static void RecordWrite(const struct known_fd* file, int64_t offset, const void* data,
                        size_t size) {
  Line("write\t%" PRIu64 "\t%" PRId64 "\t%zu\n", file->inode, offset, size);
  Put(data, size);
  if (file->dsync && !drop_sync) Line("durable\t%" PRIu64 "\n", file->inode);
}

// What of several pieces has been written, as one write each.
static void RecordPieces(const struct known_fd* file, int64_t offset, const struct iovec* pieces,
                         ssize_t written) {
  for (; written > 0; ++pieces) {
    const size_t size = (size_t)written < pieces->iov_len ? (size_t)written : pieces->iov_len;
    RecordWrite(file, offset, pieces->iov_base, size);
    offset += (int64_t)size;
    written -= (ssize_t)size;
  }
}

ssize_t writev(int fd, const struct iovec* pieces, int count) {
  REAL(ssize_t, writev, int, const struct iovec*, int);
  const struct known_fd* file = KnownFile(fd);
  if (file == NULL) return real(fd, pieces, count);
  pthread_mutex_lock(&mutex);
  const int64_t offset = lseek(fd, 0, SEEK_CUR);
  const ssize_t written = real(fd, pieces, count);
  const int sys_errno = errno;
  RecordPieces(file, offset, pieces, written);
  pthread_mutex_unlock(&mutex);
  errno = sys_errno;
  return written;
}

#define PWRITEV(name, offset_type)                                                  \
  ssize_t name(int fd, const struct iovec* pieces, int count, offset_type offset) { \
    REAL(ssize_t, name, int, const struct iovec*, int, offset_type);                \
    const struct known_fd* file = KnownFile(fd);                                    \
    if (file == NULL) return real(fd, pieces, count, offset);                       \
    pthread_mutex_lock(&mutex);                                                     \
    const ssize_t written = real(fd, pieces, count, offset);                        \
    const int sys_errno = errno;                                                    \
    RecordPieces(file, offset, pieces, written);                                    \
    pthread_mutex_unlock(&mutex);                                                   \
    errno = sys_errno;                                                              \
    return written;                                                                 \
  }
PWRITEV(pwritev, off_t)
PWRITEV(pwritev64, off64_t)

ssize_t write(int fd, const void* data, size_t size) {
  REAL(ssize_t, write, int, const void*, size_t);
  const struct known_fd* file = Known(fd);
  if (file == NULL) return real(fd, data, size);
  pthread_mutex_lock(&mutex);
  const int64_t offset = lseek(fd, 0, SEEK_CUR);
  const ssize_t written = real(fd, data, size);
  const int sys_errno = errno;
  if (written > 0 && file->kind == kMarks) {
    Line("mark\t%zd\n", written);
    Put(data, (size_t)written);
  } else if (written > 0) {
    RecordWrite(file, offset, data, (size_t)written);
  }
  pthread_mutex_unlock(&mutex);
  errno = sys_errno;
  return written;
}

#define PWRITE(name, offset_type)                                           \
  ssize_t name(int fd, const void* data, size_t size, offset_type offset) { \
    REAL(ssize_t, name, int, const void*, size_t, offset_type);             \
    const struct known_fd* file = KnownFile(fd);                            \
    if (file == NULL) return real(fd, data, size, offset);                  \
    pthread_mutex_lock(&mutex);                                             \
    const ssize_t written = real(fd, data, size, offset);                   \
    const int sys_errno = errno;                                            \
    if (written > 0) RecordWrite(file, offset, data, (size_t)written);      \
    pthread_mutex_unlock(&mutex);                                           \
    errno = sys_errno;                                                      \
    return written;                                                         \
  }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

// Calls on an open file that return 0 or fail, recorded when they have succeeded.
#define FILE_CALL(call, file, ...)      \
  do {                                  \
    pthread_mutex_lock(&mutex);         \
    const int result = (call);          \
    const int sys_errno = errno;        \
    if (result == 0) Line(__VA_ARGS__); \
    pthread_mutex_unlock(&mutex);       \
    errno = sys_errno;                  \
    return result;                      \
  } while (false)

#define TRUNCATE(name, offset_type)                                                  \
  int name(int fd, offset_type size) {                                               \
    REAL(int, name, int, offset_type);                                               \
    const struct known_fd* file = KnownFile(fd);                                     \
    if (file == NULL) return real(fd, size);                                         \
    FILE_CALL(real(fd, size), file, "size\t%" PRIu64 "\t%" PRId64 "\n", file->inode, \
              (int64_t)size);                                                        \
  }
TRUNCATE(ftruncate, off_t)
TRUNCATE(ftruncate64, off64_t)

#define FALLOCATE(name, offset_type)                                                               \
  int name(int fd, int mode, offset_type offset, offset_type size) {                               \
    REAL(int, name, int, int, offset_type, offset_type);                                           \
    const struct known_fd* file = KnownFile(fd);                                                   \
    if (file == NULL) return real(fd, mode, offset, size);                                         \
    if (mode != 0) Die("fallocate with a mode");                                                   \
    FILE_CALL(real(fd, mode, offset, size), file, "grow\t%" PRIu64 "\t%" PRId64 "\n", file->inode, \
              (int64_t)(offset + size));                                                           \
  }
FALLOCATE(fallocate, off_t)
FALLOCATE(fallocate64, off64_t)

#define POSIX_FALLOCATE(name, offset_type)                                                   \
  int name(int fd, offset_type offset, offset_type size) {                                   \
    REAL(int, name, int, offset_type, offset_type);                                          \
    const struct known_fd* file = KnownFile(fd);                                             \
    if (file == NULL) return real(fd, offset, size);                                         \
    FILE_CALL(real(fd, offset, size), file, "grow\t%" PRIu64 "\t%" PRId64 "\n", file->inode, \
              (int64_t)(offset + size));                                                     \
  }
POSIX_FALLOCATE(posix_fallocate, off_t)
POSIX_FALLOCATE(posix_fallocate64, off64_t)

// fdatasync of a directory is not recorded: it promises no names.
#define SYNC(name, names_too)                                        \
  int name(int fd) {                                                 \
    REAL(int, name, int);                                            \
    const struct known_fd* file = Known(fd);                         \
    if (file == NULL || file->kind == kMarks) return real(fd);       \
    if (file->kind == kFile) {                                       \
      if (drop_sync) return 0;                                       \
      FILE_CALL(real(fd), file, "sync\t%" PRIu64 "\n", file->inode); \
    }                                                                \
    if (drop_dirsync) return 0;                                      \
    if (!(names_too)) return real(fd);                               \
    FILE_CALL(real(fd), file, "syncdir\t%s\n", file->path);          \
  }
SYNC(fsync, true)
SYNC(fdatasync, false)

int rename(const char* from, const char* to) {
  REAL(int, rename, const char*, const char*);
  const char* below = Below(from);
  const char* to_below = Below(to);
  if (below == NULL && to_below == NULL) return real(from, to);
  if (below == NULL || to_below == NULL) Die("rename across the edge of RECORD_DIR");
  FILE_CALL(real(from, to), from, "rename\t%s\t%s\n", below, to_below);
}

int unlink(const char* path) {
  REAL(int, unlink, const char*);
  const char* below = Below(path);
  if (below == NULL) return real(path);
  FILE_CALL(real(path), path, "unlink\t%s\n", below);
}

int mkdir(const char* path, mode_t mode) {
  REAL(int, mkdir, const char*, mode_t);
  const char* below = Below(path);
  if (below == NULL) return real(path, mode);
  FILE_CALL(real(path, mode), path, "mkdir\t%s\n", below);
}

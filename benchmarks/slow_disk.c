/* What syncs takes SLOWER_NS longer: put before a program with LD_PRELOAD, a disk whose cache is not safe. */
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int late(long call, int fd) {
    const struct timespec longer = {.tv_nsec = SLOWER_NS};
    int result = (int)syscall(call, fd);
    if (result == 0) nanosleep(&longer, NULL);
    return result;
}

int fsync(int fd) { return late(SYS_fsync, fd); }
int fdatasync(int fd) { return late(SYS_fdatasync, fd); }

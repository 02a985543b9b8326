/* What the programs of this folder need of Linux, without a C library: their instructions are the same everywhere. */
#ifndef GUEST_H
#define GUEST_H

typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long long u64;

enum { SYS_EXIT = 1, SYS_FORK = 2, SYS_READ = 3, SYS_WRITE = 4, SYS_WAITPID = 7, SYS_PIPE = 42, SYS_GETPPID = 64 };

static inline long system_call(long number, long first, long second, long third)
{
    long result;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(first), "c"(second), "d"(third) : "memory");
    return result;
}

int work(void);

/* Exits with 0 if the work's result is the right one. */
__attribute__((noreturn, used, force_align_arg_pointer)) void _start(void)
{
    system_call(SYS_EXIT, work() ? 0 : 1, 0, 0);
    __builtin_unreachable();
}

#endif

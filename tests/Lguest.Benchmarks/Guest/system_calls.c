/* System calls, processes and pipes. */
#include "guest.h"

enum { CALLS = 1000000, PROCESSES = 1500, MESSAGES = 40000 };

static int talk(void)
{
    int there[2], back[2];
    char byte = 'x';
    if (system_call(SYS_PIPE, (long)there, 0, 0) || system_call(SYS_PIPE, (long)back, 0, 0))
        return 0;
    long child = system_call(SYS_FORK, 0, 0, 0);
    if (child == 0) {
        for (int i = 0; i < MESSAGES; i++) {
            system_call(SYS_READ, there[0], (long)&byte, 1);
            system_call(SYS_WRITE, back[1], (long)&byte, 1);
        }
        system_call(SYS_EXIT, 0, 0, 0);
    }
    for (int i = 0; i < MESSAGES; i++) {
        system_call(SYS_WRITE, there[1], (long)&byte, 1);
        system_call(SYS_READ, back[0], (long)&byte, 1);
    }
    return system_call(SYS_WAITPID, child, 0, 0) == child;
}

int work(void)
{
    int right = 1;
    for (int i = 0; i < CALLS; i++)
        right &= system_call(SYS_GETPPID, 0, 0, 0) > 0;
    for (int i = 0; i < PROCESSES; i++) {
        long child = system_call(SYS_FORK, 0, 0, 0);
        if (child == 0)
            system_call(SYS_EXIT, 0, 0, 0);
        right &= system_call(SYS_WAITPID, child, 0, 0) == child;
    }
    return right & talk();
}

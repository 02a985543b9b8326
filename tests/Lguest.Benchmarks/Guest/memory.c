/* Memory: copies, strides and a random walk through 4 MiB. */
#include "guest.h"

enum { WORDS = 1 << 20, ROUNDS = 60 };

static u32 from[WORDS], to[WORDS];

static void copy(void)
{
    u32 *source = from, *destination = to;
    u32 count = WORDS;
    __asm__ volatile("rep movsl" : "+S"(source), "+D"(destination), "+c"(count) : : "memory");
}

int work(void)
{
    u32 sum = 0, at = 0;
    for (u32 i = 0; i < WORDS; i++)
        from[i] = i * 2654435761u;
    for (int round = 0; round < ROUNDS; round++) {
        copy();
        for (u32 i = 0; i < WORDS; i++)
            to[i] += from[i] ^ round;
        for (u32 i = 0; i < WORDS; i += 16)
            sum += to[i];
        for (u32 i = 0; i < WORDS / 8; i++) {
            at = (from[at] + i) & (WORDS - 1);
            sum += at;
        }
    }
    return sum == 2620784640u;
}

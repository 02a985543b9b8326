/* Integers: the primes below two million, twenty times, and a mix of arithmetic. */
#include "guest.h"

enum { LIMIT = 2000000, ROUNDS = 20, PRIMES = 148933 };

static u8 composite[LIMIT];

static u32 count_primes(void)
{
    u32 primes = 0;
    for (u32 i = 0; i < LIMIT; i++)
        composite[i] = 0;
    for (u32 i = 2; i < LIMIT; i++) {
        if (composite[i])
            continue;
        primes++;
        for (u32 multiple = 2 * i; multiple < LIMIT; multiple += i)
            composite[multiple] = 1;
    }
    return primes;
}

static u32 mix(u32 rounds)
{
    u32 a = 1, b = 2;
    for (u32 i = 0; i < rounds; i++) {
        a = a * 1664525 + 1013904223;
        b ^= (a >> 7) + (b << 3) + i;
        if ((b & 15) == 3)
            b += a % 97;
    }
    return a ^ b;
}

int work(void)
{
    int right = 1;
    for (int i = 0; i < ROUNDS; i++)
        right &= count_primes() == PRIMES;
    return right & (mix(120000000) == 1813218427u);
}

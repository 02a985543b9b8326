/* SHA-256 (FIPS 180-4) of 64 MiB of zeros. */
#include "guest.h"

enum { BLOCKS = 1 << 20 };

/* The fractional parts of the cube roots of the first 64 primes, which the program finds itself. */
static u32 constants[64];

static u32 rotate(u32 value, int count) { return value >> count | value << (32 - count); }

/* The first 32 bits of the fractional part of a root of a small number, by trial of each bit. */
static u32 root_fraction(u32 number, int power)
{
    u64 whole = 1;
    while ((power == 2 ? (whole + 1) * (whole + 1) : (whole + 1) * (whole + 1) * (whole + 1)) <= number)
        whole++;
    u64 root = whole << 32;
    for (int bit = 31; bit >= 0; bit--) {
        u64 trial = root | 1ull << bit;
        unsigned parts[4], square[6] = { 0 }, cube[8] = { 0 };
        parts[0] = (u32)trial;
        parts[1] = (u32)(trial >> 32);
        for (int i = 0; i < 2; i++)
            for (int j = 0; j < 2; j++) {
                u64 product = (u64)parts[i] * parts[j];
                for (int at = i + j; product; at++) {
                    product += square[at];
                    square[at] = (u32)product;
                    product >>= 32;
                }
            }
        if (power == 2) {
            if (square[2] < number)
                root = trial;
            continue;
        }
        for (int i = 0; i < 4; i++)
            for (int j = 0; j < 2; j++) {
                u64 product = (u64)square[i] * parts[j];
                for (int at = i + j; product; at++) {
                    product += cube[at];
                    cube[at] = (u32)product;
                    product >>= 32;
                }
            }
        if (cube[3] < number)
            root = trial;
    }
    return (u32)root;
}

static void compress(u32 hash[8], const u32 message[16])
{
    u32 w[64], s[8];
    for (int i = 0; i < 16; i++)
        w[i] = message[i];
    for (int i = 16; i < 64; i++)
        w[i] = w[i - 16] + w[i - 7]
            + (rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ w[i - 15] >> 3)
            + (rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ w[i - 2] >> 10);
    for (int i = 0; i < 8; i++)
        s[i] = hash[i];
    for (int i = 0; i < 64; i++) {
        u32 first = s[7] + (rotate(s[4], 6) ^ rotate(s[4], 11) ^ rotate(s[4], 25)) + ((s[4] & s[5]) ^ (~s[4] & s[6])) + constants[i] + w[i];
        u32 second = (rotate(s[0], 2) ^ rotate(s[0], 13) ^ rotate(s[0], 22)) + ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));
        for (int j = 7; j > 0; j--)
            s[j] = s[j - 1];
        s[4] += first;
        s[0] = first + second;
    }
    for (int i = 0; i < 8; i++)
        hash[i] += s[i];
}

int work(void)
{
    u32 hash[8], message[16] = { 0 };
    int primes = 0;
    for (u32 number = 2; primes < 64; number++) {
        u32 divisor = 2;
        while (number % divisor)
            divisor++;
        if (divisor != number)
            continue;
        if (primes < 8)
            hash[primes] = root_fraction(number, 2);
        constants[primes++] = root_fraction(number, 3);
    }
    int right = hash[0] == 0x6a09e667 && constants[63] == 0xc67178f2;
    for (u32 i = 0; i < BLOCKS; i++)
        compress(hash, message);
    return right & (hash[0] == 0xbe924b25 && hash[7] == 0x69324fd8);
}

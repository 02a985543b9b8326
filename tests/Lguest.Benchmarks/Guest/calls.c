/* Calls, dispatch through pointers, and switches. */
#include "guest.h"

static u32 __attribute__((noinline)) fibonacci(u32 n)
{
    return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

static u32 add(u32 a, u32 b) { return a + b; }
static u32 subtract(u32 a, u32 b) { return a - b; }
static u32 combine(u32 a, u32 b) { return a ^ (b << 1); }
static u32 turn(u32 a, u32 b) { return (a << 5 | a >> 27) + b; }

static u32 (*const volatile operations[4])(u32, u32) = { add, subtract, combine, turn };

static u32 __attribute__((noinline)) step(u32 state, u32 code)
{
    switch (code) {
    case 0: return state + 3;
    case 1: return state * 5;
    case 2: return state ^ 0x55aa;
    case 3: return state >> 1;
    case 4: return state - code;
    case 5: return state | 0x10;
    case 6: return ~state;
    default: return state << 1;
    }
}

int work(void)
{
    u32 state = fibonacci(34);
    int right = state == 5702887;
    for (u32 i = 0; i < 60000000; i++)
        state = operations[(state >> 3) & 3](state, i);
    for (u32 i = 0; i < 60000000; i++)
        state = step(state, (state ^ i) & 7);
    return right & (state == 1493843902u);
}

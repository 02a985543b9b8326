/* The x87: a product of matrices, square roots, sines. */
#include "guest.h"

enum { SIZE = 96, ROUNDS = 100, VALUES = 4000000 };

static double a[SIZE][SIZE], b[SIZE][SIZE], c[SIZE][SIZE];

static double sine(double value)
{
    double result;
    __asm__("fsin" : "=t"(result) : "0"(value));
    return result;
}

static double root(double value)
{
    double result;
    __asm__("fsqrt" : "=t"(result) : "0"(value));
    return result;
}

static int is_near(double value, double expected)
{
    double distance = value > expected ? value - expected : expected - value;
    return distance < 0.001;
}

int work(void)
{
    double sum = 0;
    for (int i = 0; i < SIZE; i++)
        for (int j = 0; j < SIZE; j++) {
            a[i][j] = i + j / 7.0;
            b[i][j] = i - j / 3.0;
        }
    for (int round = 0; round < ROUNDS; round++)
        for (int i = 0; i < SIZE; i++)
            for (int j = 0; j < SIZE; j++) {
                double cell = 0;
                for (int k = 0; k < SIZE; k++)
                    cell += a[i][k] * b[k][j];
                c[i][j] = cell + round;
            }
    for (int i = 0; i < VALUES; i++)
        sum += root(i + 0.5) * (i & 7 ? 1.25 : sine(i * 0.001));
    return is_near(sum, 5833520053.41839) & is_near(c[3][5], 53687.5714285714);
}

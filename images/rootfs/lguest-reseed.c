/*
 * Gives the kernel new randomness: 32 bytes from standard input, at once, for everything that asks from now on. A guest that
 * goes on from a saved state begins with this, as all others from the same state have the same random numbers else.
 *
 * It needs no C library. Writing to /dev/urandom would not do: that is believed only at the next reseeding, up to a minute later.
 */

/* Of Linux on i386: <asm/unistd.h>, <linux/random.h>. */
#define EXIT		1
#define READ		3
#define OPEN		5
#define IOCTL		54
#define RNDADDENTROPY	0x40085203
#define RNDRESEEDCRNG	0x5207

#define O_WRONLY	1
#define BYTES		32

static int call(int number, int a, int b, int c)
{
	int result;

	asm volatile("int $0x80" : "=a"(result) : "a"(number), "b"(a), "c"(b), "d"(c) : "memory");
	return result;
}

void _start(void)
{
	struct {
		int bits;
		int bytes;
		unsigned char seed[BYTES];
	} entropy;
	int device = call(OPEN, (int)"/dev/urandom", O_WRONLY, 0);
	int have = 0, status = 1, count;

	entropy.bits = BYTES * 8;
	entropy.bytes = BYTES;
	while (have < BYTES && (count = call(READ, 0, (int)(entropy.seed + have), BYTES - have)) > 0)
		have += count;
	if (device >= 0 && have == BYTES && call(IOCTL, device, RNDADDENTROPY, (int)&entropy) == 0 &&
	    call(IOCTL, device, RNDRESEEDCRNG, 0) == 0)
		status = 0;
	call(EXIT, status, 0, 0);
}

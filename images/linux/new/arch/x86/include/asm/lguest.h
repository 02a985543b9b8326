/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a guest and its lguest host say to each other: hypercalls, one shared
 * structure, and DMA descriptors.
 */
#ifndef _ASM_X86_LGUEST_H
#define _ASM_X86_LGUEST_H

#include <linux/types.h>

#ifdef CONFIG_LGUEST_GUEST

#include <linux/build_bug.h>
#include <linux/stddef.h>

#include <asm/page.h>

/* Hypercalls of a guest that runs at CPL 0: int $0x1f, number in EAX. */
#define LHCALL_FLUSH_ASYNC	0	/* look at lguest_data again */
#define LHCALL_LGUEST_INIT	1	/* lguest_data, its size */
#define LHCALL_CRASH		2	/* text */
#define LHCALL_SET_CLOCKEVENT	9	/* ns from now, 0 cancels */
#define LHCALL_HALT		10
#define LHCALL_BIND_DMA		12	/* key, dmas, count << 8 | irq */
#define LHCALL_SEND_DMA		13	/* key, dma */

/* A note in the image says what it is, to a host that only has the file. */
#define LGUEST_NOTE_NAME	"lguest"
#define LGUEST_NOTE_INTERFACE	1	/* u32: the version of all this */
#define LGUEST_INTERFACE	1

#define LGUEST_IRQS		32
#define LGUEST_RING		64	/* queued calls: only ring 1 has them */
#define LGUEST_TEXT		128	/* CRASH's text with its NUL */
#define LGUEST_DMA_SECTIONS	16

/* Types of devices. */
#define LGUEST_TYPE_NONE	0
#define LGUEST_TYPE_CONSOLE	1
#define LGUEST_TYPE_NET		2
#define LGUEST_TYPE_BLOCK	3
#define LGUEST_TYPE_COMMAND	4

/* How to read printk's ring: sizes, and offsets in each structure, in bytes. */
struct lguest_log_layout {
	struct {
		u16 count_bits;		/* descriptors and infos, log2 */
		u16 descs;
		u16 infos;
		u16 head_id;
		u16 tail_id;
		u16 size_bits;		/* text, log2 of bytes */
		u16 data;
	} ring;				/* struct printk_ringbuffer */
	struct {
		u16 size;
		u16 state_var;
		u16 text_blk_lpos;	/* begin, next */
	} desc;				/* struct prb_desc */
	struct {
		u16 size;
		u16 seq;
		u16 ts_nsec;
		u16 text_len;
		u16 facility;		/* and then flags:5, level:3 */
		u16 caller_id;
	} info;				/* struct printk_info */
};

/* Shared with the host from LHCALL_LGUEST_INIT on. */
struct lguest_data {
	u32 irq_enabled;		/* not used at CPL 0 */
	u32 blocked_interrupts;		/* bit n masks interrupt n */
	u32 cr2;			/* not used at CPL 0 */
	u32 sec;			/* wall clock, as of INIT or */
	u32 nsec;			/* the last interrupt */
	u8 hcall_status[LGUEST_RING];	/* 0xff: nothing queued */
	struct {
		u32 eax, edx, ebx, ecx;
	} hcalls[LGUEST_RING];
	u32 reserve_mem;		/* not used at CPL 0 */
	u16 guestid;			/* part of the MAC address */
	u32 tsc_khz;			/* 0: don't use the TSC */
	u32 noirq_start;		/* not used at CPL 0 */
	u32 noirq_end;

	/* What the host may look at from outside, at physical addresses. */
	u32 drivers;			/* bit n: for devices of type n */
	u32 page_offset;		/* virtual minus physical address */
	u32 tainted_mask;
	u32 log;			/* printk's pointer to its ring, or 0 */
	struct lguest_log_layout log_layout;
};

static_assert(offsetof(struct lguest_data, drivers) == 1128);
static_assert(sizeof(struct lguest_data) == 1176);

/* Scattered memory to send from, or to receive into. */
struct lguest_dma {
	u32 used_len;			/* bytes moved; 0: free to the host */
	u32 addr[LGUEST_DMA_SECTIONS];	/* physical */
	u16 len[LGUEST_DMA_SECTIONS];	/* the first 0 ends the list */
};

static_assert(sizeof(struct lguest_dma) == 100);

extern struct lguest_data lguest_data;
extern phys_addr_t lguest_devices;	/* 0 on any other machine */
extern u8 lguest_exit_status;

void lguest_early_setup(void);

/* In kernel/: where what others may not touch can be seen. */
struct printk_ringbuffer;
struct printk_ringbuffer **lguest_log_ring(void);
const unsigned long *lguest_tainted_mask(void);

static __always_inline bool lguest_guest(void)
{
	return lguest_devices != 0;
}

static __always_inline u32 lguest_hcall(u32 call, u32 edx, u32 ebx, u32 ecx)
{
	asm volatile("int $0x1f"
		     : "+a" (call)
		     : "d" (edx), "b" (ebx), "c" (ecx)
		     : "memory");
	return call;
}

/*
 * The host returns once an interrupt was delivered. One that comes after STI
 * waits for the hypercall, as it would for HLT.
 */
static __always_inline void lguest_safe_halt(void)
{
	asm volatile("sti; int $0x1f" : : "a" (LHCALL_HALT) : "memory");
}

/* Offers @count buffers to whoever sends to @key. */
static inline bool lguest_bind_dma(u32 key, struct lguest_dma *dmas,
				   unsigned int count, unsigned int irq)
{
	return lguest_hcall(LHCALL_BIND_DMA, key, __pa(dmas),
			    count << 8 | irq);
}

static inline void lguest_unbind_dma(u32 key, struct lguest_dma *dmas)
{
	lguest_hcall(LHCALL_BIND_DMA, key, __pa(dmas), 0);
}

/* What the other side took is in @dma->used_len afterwards. */
static inline void lguest_send_dma(u32 key, struct lguest_dma *dma)
{
	lguest_hcall(LHCALL_SEND_DMA, key, __pa(dma), 0);
}

#else /* !CONFIG_LGUEST_GUEST */

static inline void lguest_early_setup(void) { }
static __always_inline bool lguest_guest(void) { return false; }
static __always_inline void lguest_safe_halt(void) { }

#endif
#endif /* _ASM_X86_LGUEST_H */

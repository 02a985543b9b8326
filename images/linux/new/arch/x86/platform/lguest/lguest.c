// SPDX-License-Identifier: GPL-2.0-only
/*
 * lguest guest: the platform.
 *
 * The kernel runs as on bare metal, at CPL 0 with its own descriptor tables
 * and page tables. But there is no PC around it: the host, which a boot loader
 * announces as hardware subarchitecture 1, has hypercalls for the clock,
 * interrupts, power and DMA, and one structure, lguest_data, shared with us.
 */

#define pr_fmt(fmt) "lguest: " fmt

#include <linux/clockchips.h>
#include <linux/clocksource.h>
#include <linux/console.h>
#include <linux/elfnote.h>
#include <linux/init.h>
#include <linux/interrupt.h>
#include <linux/irq.h>
#include <linux/panic_notifier.h>
#include <linux/pm.h>
#include <linux/printk.h>
#include <linux/string.h>

#include <asm/acpi.h>
#include <asm/cpufeature.h>
#include <asm/e820/types.h>
#include <asm/hw_irq.h>
#include <asm/i8259.h>
#include <asm/lguest.h>
#include <asm/reboot.h>
#include <asm/setup.h>
#include <asm/x86_init.h>

#include "../../../../kernel/printk/printk_ringbuffer.h"

#define LGUEST_TIMER_IRQ	0

/* SET_CLOCKEVENT takes this many nanoseconds. */
#define LGUEST_MIN_DELTA	100
#define LGUEST_MAX_DELTA	U32_MAX

ELFNOTE32(LGUEST_NOTE_NAME, LGUEST_NOTE_INTERFACE, (u32)LGUEST_INTERFACE);

struct lguest_data lguest_data = {
	.blocked_interrupts	= ~0,
	.hcall_status		= { [0 ... LGUEST_RING - 1] = 0xff },
	.drivers =
		IS_ENABLED(CONFIG_LGUEST_CONSOLE) << LGUEST_TYPE_CONSOLE |
		IS_ENABLED(CONFIG_LGUEST_NET) << LGUEST_TYPE_NET |
		IS_ENABLED(CONFIG_LGUEST_BLOCK) << LGUEST_TYPE_BLOCK |
		IS_ENABLED(CONFIG_LGUEST_COMMAND) << LGUEST_TYPE_COMMAND,
	.page_offset		= PAGE_OFFSET,
	.log_layout = {
		.ring = {
			.count_bits = offsetof(struct printk_ringbuffer,
					       desc_ring.count_bits),
			.descs = offsetof(struct printk_ringbuffer,
					  desc_ring.descs),
			.infos = offsetof(struct printk_ringbuffer,
					  desc_ring.infos),
			.head_id = offsetof(struct printk_ringbuffer,
					    desc_ring.head_id),
			.tail_id = offsetof(struct printk_ringbuffer,
					    desc_ring.tail_id),
			.size_bits = offsetof(struct printk_ringbuffer,
					      text_data_ring.size_bits),
			.data = offsetof(struct printk_ringbuffer,
					 text_data_ring.data),
		},
		.desc = {
			.size = sizeof(struct prb_desc),
			.state_var = offsetof(struct prb_desc, state_var),
			.text_blk_lpos = offsetof(struct prb_desc,
						  text_blk_lpos),
		},
		.info = {
			.size = sizeof(struct printk_info),
			.seq = offsetof(struct printk_info, seq),
			.ts_nsec = offsetof(struct printk_info, ts_nsec),
			.text_len = offsetof(struct printk_info, text_len),
			.facility = offsetof(struct printk_info, facility),
			.caller_id = offsetof(struct printk_info, caller_id),
		},
	},
};

/* The page of device descriptors: the host puts it right after RAM. */
phys_addr_t lguest_devices __ro_after_init;

/* What the host's process exits with after power-off: root sets it in sysfs. */
u8 lguest_exit_status;

/*
 * Interrupts.
 *
 * The host remembers an interrupt until it can be delivered through vector
 * 32 + n of our IDT, so there is nothing to acknowledge. And as it also
 * remembers while the bit in blocked_interrupts is set, that bit is set
 * whenever the line is disabled.
 */

static void lguest_mask_irq(struct irq_data *data)
{
	lguest_data.blocked_interrupts |= BIT(data->irq);
}

static void lguest_unmask_irq(struct irq_data *data)
{
	lguest_data.blocked_interrupts &= ~BIT(data->irq);
	lguest_hcall(LHCALL_FLUSH_ASYNC, 0, 0, 0);
}

static struct irq_chip lguest_irq_chip = {
	.name		= "lguest",
	.irq_mask	= lguest_mask_irq,
	.irq_unmask	= lguest_unmask_irq,
};

static void __init lguest_init_irqs(void)
{
	unsigned int irq;

	for (irq = 0; irq < LGUEST_IRQS; irq++) {
		/* The core has made the PC's first 16 already. */
		if (!irq_to_desc(irq) && irq_alloc_desc_at(irq, 0) < 0)
			panic("no memory for interrupt %u", irq);
		irq_set_status_flags(irq, IRQ_DISABLE_UNLAZY);
		irq_set_chip_and_handler(irq, &lguest_irq_chip,
					 handle_simple_irq);
		__this_cpu_write(vector_irq[FIRST_EXTERNAL_VECTOR + irq],
				 irq_to_desc(irq));
	}
}

/*
 * Time.
 *
 * The TSC runs at a known rate and never stops. A host that can't promise
 * that says 0, and leaves us the wall clock that it keeps in lguest_data.
 */

static u64 lguest_read_clock(struct clocksource *cs)
{
	u32 sec, nsec;

	/* An interrupt between the two updates both. */
	do {
		sec = READ_ONCE(lguest_data.sec);
		nsec = READ_ONCE(lguest_data.nsec);
	} while (sec != READ_ONCE(lguest_data.sec));

	return (u64)sec * NSEC_PER_SEC + nsec;
}

static struct clocksource lguest_clock = {
	.name	= "lguest",
	.rating	= 200,
	.read	= lguest_read_clock,
	.mask	= CLOCKSOURCE_MASK(64),
	.flags	= CLOCK_SOURCE_IS_CONTINUOUS,
};

static void lguest_get_wallclock(struct timespec64 *now)
{
	*now = ns_to_timespec64(lguest_read_clock(NULL));
}

static int lguest_set_wallclock(const struct timespec64 *now)
{
	return -EINVAL;
}

static unsigned long __init lguest_tsc_khz(void)
{
	return lguest_data.tsc_khz;
}

static int lguest_set_next_event(unsigned long delta,
				 struct clock_event_device *evt)
{
	lguest_hcall(LHCALL_SET_CLOCKEVENT, delta, 0, 0);
	return 0;
}

static int lguest_shutdown_timer(struct clock_event_device *evt)
{
	lguest_hcall(LHCALL_SET_CLOCKEVENT, 0, 0, 0);
	return 0;
}

static struct clock_event_device lguest_timer = {
	.name			= "lguest",
	.features		= CLOCK_EVT_FEAT_ONESHOT,
	.rating			= 300,
	.set_next_event		= lguest_set_next_event,
	.set_state_shutdown	= lguest_shutdown_timer,
};

static irqreturn_t lguest_timer_interrupt(int irq, void *dev)
{
	lguest_timer.event_handler(&lguest_timer);
	return IRQ_HANDLED;
}

static void __init lguest_time_init(void)
{
	if (request_irq(LGUEST_TIMER_IRQ, lguest_timer_interrupt,
			IRQF_TIMER | IRQF_NOBALANCING, "timer", NULL))
		panic("no timer interrupt");

	lguest_timer.cpumask = cpumask_of(0);
	clockevents_config_and_register(&lguest_timer, NSEC_PER_SEC,
					LGUEST_MIN_DELTA, LGUEST_MAX_DELTA);
	if (!lguest_data.tsc_khz)
		clocksource_register_hz(&lguest_clock, NSEC_PER_SEC);
}

/* The end: the text tells the host which. */
static void lguest_crash(const char *text)
{
	static char end[LGUEST_TEXT];

	strscpy(end, text, sizeof(end));
	lguest_hcall(LHCALL_CRASH, __pa(end), 0, 0);
}

static void lguest_end(const char *how)
{
	char text[LGUEST_TEXT];

	snprintf(text, sizeof(text), "%s %u", how, lguest_exit_status);
	lguest_crash(text);
}

static void lguest_power_off(void)
{
	lguest_end("Power down");
}

static void lguest_halt(void)
{
	lguest_end("System halted");
}

static void lguest_emergency_restart(void)
{
	lguest_crash("Restarting system");
}

static void lguest_restart(char *command)
{
	lguest_emergency_restart();
}

static int lguest_panic(struct notifier_block *nb, unsigned long event,
			void *text)
{
	console_flush_on_panic(CONSOLE_FLUSH_PENDING);
	lguest_crash(text);
	return NOTIFY_DONE;
}

static struct notifier_block lguest_panic_block = {
	.notifier_call	= lguest_panic,
	.priority	= INT_MIN,	/* others may have something to print */
};

/* Keys are addresses of 32 bits: devices are below 4 GiB, whatever is above. */
static phys_addr_t __init lguest_end_of_low_ram(void)
{
	struct boot_e820_entry *entry = boot_params.e820_table;
	struct boot_e820_entry *last = entry + boot_params.e820_entries;
	phys_addr_t end = 0;

	/* The boot loader's word, before mem= and the like change it. */
	for (; entry < last; entry++) {
		if (entry->type == E820_TYPE_RAM && entry->addr <= U32_MAX)
			end = max_t(phys_addr_t, end,
				    entry->addr + entry->size);
	}
	return end;
}

static void __init lguest_arch_setup(void)
{
	pr_info("guest %u, devices at %pa, TSC %u kHz\n", lguest_data.guestid,
		&lguest_devices, lguest_data.tsc_khz);
}

/*
 * Once a console is preferred, an early one isn't enabled any more: so this
 * waits until earlycon= has been read, but not until console= has, whose last
 * word counts.
 */
static void __init lguest_late_setup(void)
{
	add_preferred_console("hvc", 0, NULL);
}

/* Called before start_kernel(), with the kernel's first page tables. */
void __init lguest_early_setup(void)
{
	lguest_data.tainted_mask = __pa(lguest_tainted_mask());
	if (IS_ENABLED(CONFIG_PRINTK))
		lguest_data.log = __pa(lguest_log_ring());
	lguest_hcall(LHCALL_LGUEST_INIT, __pa(&lguest_data),
		     sizeof(lguest_data), 0);
	lguest_devices = lguest_end_of_low_ram();
	atomic_notifier_chain_register(&panic_notifier_list,
				       &lguest_panic_block);
	pm_power_off = lguest_power_off;
	machine_ops.halt = lguest_halt;
	machine_ops.restart = lguest_restart;
	machine_ops.emergency_restart = lguest_emergency_restart;

	if (lguest_data.tsc_khz) {
		setup_force_cpu_cap(X86_FEATURE_TSC_KNOWN_FREQ);
		setup_force_cpu_cap(X86_FEATURE_TSC_RELIABLE);
	} else {
		setup_clear_cpu_cap(X86_FEATURE_TSC);
	}
	x86_platform.calibrate_cpu = lguest_tsc_khz;
	x86_platform.calibrate_tsc = lguest_tsc_khz;
	x86_platform.get_wallclock = lguest_get_wallclock;
	x86_platform.set_wallclock = lguest_set_wallclock;
	x86_init.timers.wallclock_init = x86_init_noop;
	x86_init.timers.timer_init = lguest_time_init;
	x86_init.timers.setup_percpu_clockev = x86_init_noop;

	x86_init.irqs.pre_vector_init = lguest_init_irqs;
	legacy_pic = &null_legacy_pic;

	/* None of what a PC has is there. */
	x86_init.oem.arch_setup = lguest_arch_setup;
	x86_init.hyper.guest_late_init = lguest_late_setup;
	x86_init.resources.probe_roms = x86_init_noop;
	x86_init.resources.reserve_resources = x86_init_noop;
	x86_init.resources.dmi_setup = x86_init_noop;
	x86_platform.realmode_reserve = x86_init_noop;
	x86_platform.realmode_init = x86_init_noop;
	x86_platform.legacy.i8042 = X86_LEGACY_I8042_PLATFORM_ABSENT;
	x86_platform.legacy.rtc = 0;
	x86_platform.legacy.devices.pnpbios = 0;
	disable_acpi();
}

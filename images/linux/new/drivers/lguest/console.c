// SPDX-License-Identifier: GPL-2.0-only
/*
 * lguest console, for the hvc layer. It has no memory of its own: output is
 * sent to key 0, and input arrives in a buffer bound to it.
 */

#include <linux/errno.h>
#include <linux/init.h>
#include <linux/minmax.h>
#include <linux/serial_core.h>
#include <linux/string.h>

#include <asm/lguest.h>

#include "../tty/hvc/hvc_console.h"
#include "bus.h"

#define LGUEST_CONSOLE_KEY	0
#define LGUEST_CONSOLE_BUFFER	256

static char lguest_input[LGUEST_CONSOLE_BUFFER];
static struct lguest_dma lguest_input_dma;
static unsigned int lguest_input_read;

/* The host always takes all of it. */
static int lguest_put_chars(u32 vtermno, const char *text, int count)
{
	struct lguest_dma dma = {
		/* Often on the stack, but that isn't mapped on 32-bit x86. */
		.addr[0] = __pa(text),
		.len[0] = count,
	};

	lguest_send_dma(LGUEST_CONSOLE_KEY, &dma);
	return count;
}

static int lguest_get_chars(u32 vtermno, char *text, int count)
{
	u32 used = READ_ONCE(lguest_input_dma.used_len);

	count = min_t(u32, count, used - lguest_input_read);
	memcpy(text, lguest_input + lguest_input_read, count);
	lguest_input_read += count;

	if (used && lguest_input_read == used) {
		lguest_input_read = 0;
		/* All is copied: the host may fill it again. */
		smp_store_release(&lguest_input_dma.used_len, 0);
	}
	return count;
}

static const struct hv_ops lguest_console_ops = {
	.get_chars		= lguest_get_chars,
	.put_chars		= lguest_put_chars,
	.notifier_add		= notifier_add_irq,
	.notifier_del		= notifier_del_irq,
	.notifier_hangup	= notifier_hangup_irq,
};

static int lguest_console_probe(struct lguest_device *ldev)
{
	struct hvc_struct *hvc;

	lguest_input_dma.addr[0] = __pa(lguest_input);
	lguest_input_dma.len[0] = sizeof(lguest_input);
	if (!lguest_bind_dma(LGUEST_CONSOLE_KEY, &lguest_input_dma, 1,
			     lguest_irq(ldev)))
		return -ENOSPC;

	hvc = hvc_alloc(0, lguest_irq(ldev), &lguest_console_ops,
			LGUEST_CONSOLE_BUFFER);
	if (IS_ERR(hvc)) {
		lguest_unbind_dma(LGUEST_CONSOLE_KEY, &lguest_input_dma);
		return PTR_ERR(hvc);
	}
	return 0;
}

static struct lguest_driver lguest_console_driver = {
	.driver.name	= "lguest-console",
	.type		= LGUEST_TYPE_CONSOLE,
	.probe		= lguest_console_probe,
};

static int __init lguest_console_init(void)
{
	return lguest_register_driver(&lguest_console_driver);
}
device_initcall(lguest_console_init);

/* Messages need neither the bus nor the device. */
static int __init lguest_console_instantiate(void)
{
	if (!lguest_guest())
		return -ENODEV;
	return hvc_instantiate(0, 0, &lguest_console_ops);
}
console_initcall(lguest_console_instantiate);

#ifdef CONFIG_SERIAL_EARLYCON
static void lguest_early_putc(struct uart_port *port, unsigned char c)
{
	lguest_put_chars(0, &c, 1);
}

static void lguest_early_write(struct console *con, const char *text,
			       unsigned int count)
{
	uart_console_write(NULL, text, count, lguest_early_putc);
}

static int __init lguest_earlycon_setup(struct earlycon_device *device,
					const char *options)
{
	if (!lguest_guest())
		return -ENODEV;
	device->con->write = lguest_early_write;
	return 0;
}

EARLYCON_DECLARE(lguest, lguest_earlycon_setup);
#endif

// SPDX-License-Identifier: GPL-2.0-only
/*
 * lguest command device: what the guest is to run, and that command's streams
 * and status, byte for byte and apart from the console. /dev/lguest has a file
 * for each:
 *
 *   arguments	read: the command, each argument with a NUL behind it
 *   stdin	read: of the host's input no more is taken than is wanted here
 *   stdout	written: all of it has been taken when write() returns
 *   stderr	the same
 *   status	written: what the host is to exit with, 0 to 255
 */

#include <linux/build_bug.h>
#include <linux/fs.h>
#include <linux/init.h>
#include <linux/interrupt.h>
#include <linux/kernel.h>
#include <linux/miscdevice.h>
#include <linux/mutex.h>
#include <linux/poll.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/wait.h>

#include <asm/lguest.h>

#include "bus.h"

/* Keys, from the first: what is sent to the third asks for input. */
#define LGUEST_COMMAND_OUTPUT	0
#define LGUEST_COMMAND_ERRORS	4
#define LGUEST_COMMAND_INPUT	8

#define LGUEST_COMMAND_ENDED	BIT(8)	/* in status, above the number */

#define LGUEST_COMMAND_ORDER	2	/* pages of a buffer */
#define LGUEST_COMMAND_BUFFER	(PAGE_SIZE << LGUEST_COMMAND_ORDER)

struct lguest_command_page {
	u32 length;			/* of the arguments, all of them */
	u32 end_of_input;		/* by the host: after what there is */
	u32 status;			/* by us */
	char arguments[];
};

/* There is one such device, or none. */
static struct {
	u32 key;
	struct lguest_command_page *page;
	struct mutex output_lock;	/* of the next */
	char *output;
	struct mutex input_lock;	/* of all that follows */
	char *input;
	bool asked;			/* for input that hasn't come yet */
	u32 taken;			/* bytes of what has */
	struct lguest_dma receive;	/* bound: the host fills it */
	wait_queue_head_t arrival;
} command;

static ssize_t lguest_arguments_read(struct file *file, char __user *to,
				     size_t count, loff_t *pos)
{
	return simple_read_from_buffer(to, count, pos, command.page->arguments,
				       command.page->length);
}

static const struct file_operations lguest_arguments_fops = {
	.owner	= THIS_MODULE,
	.read	= lguest_arguments_read,
	.llseek	= default_llseek,
};

/* How much has come: whoever sees it sees what it is, too. */
static u32 lguest_input_used(void)
{
	/* The host writes this last. */
	return smp_load_acquire(&command.receive.used_len);
}

/* Whether a read needn't wait. */
static bool lguest_input_ready(void)
{
	return lguest_input_used() || READ_ONCE(command.page->end_of_input);
}

/* The host may have answered before the call returns. */
static void lguest_ask_for_input(void)
{
	struct lguest_dma request = {};

	if (command.asked || lguest_input_ready())
		return;

	command.asked = true;
	lguest_send_dma(command.key + LGUEST_COMMAND_INPUT, &request);
}

/* Returns 0 at the end, or -EAGAIN where somebody has to wait. */
static ssize_t lguest_take_input(char __user *to, size_t count)
{
	u32 used = lguest_input_used();

	if (!used)
		return READ_ONCE(command.page->end_of_input) ? 0 : -EAGAIN;

	count = min_t(size_t, count, used - command.taken);
	if (copy_to_user(to, command.input + command.taken, count))
		return -EFAULT;

	command.asked = false;
	command.taken += count;
	if (command.taken == used) {
		command.taken = 0;
		/* All is copied: the host may fill it again. */
		smp_store_release(&command.receive.used_len, 0);
	}
	return count;
}

static ssize_t lguest_stdin_read(struct file *file, char __user *to,
				 size_t count, loff_t *pos)
{
	ssize_t taken;

	if (!count)
		return 0;

	for (;;) {
		if (mutex_lock_interruptible(&command.input_lock))
			return -ERESTARTSYS;
		lguest_ask_for_input();
		taken = lguest_take_input(to, count);
		mutex_unlock(&command.input_lock);

		if (taken != -EAGAIN || file->f_flags & O_NONBLOCK)
			return taken;
		if (wait_event_interruptible(command.arrival,
					     lguest_input_ready()))
			return -ERESTARTSYS;
	}
}

static __poll_t lguest_stdin_poll(struct file *file, poll_table *wait)
{
	poll_wait(file, &command.arrival, wait);

	mutex_lock(&command.input_lock);
	lguest_ask_for_input();
	mutex_unlock(&command.input_lock);
	return lguest_input_ready() ? EPOLLIN | EPOLLRDNORM : 0;
}

static const struct file_operations lguest_stdin_fops = {
	.owner	= THIS_MODULE,
	.open	= stream_open,
	.read	= lguest_stdin_read,
	.poll	= lguest_stdin_poll,
};

static irqreturn_t lguest_command_interrupt(int irq, void *dev)
{
	wake_up_interruptible(&command.arrival);
	return IRQ_HANDLED;
}

static ssize_t lguest_output(u32 stream, const char __user *from, size_t count)
{
	struct lguest_dma dma = {
		.addr[0] = __pa(command.output),
		.len[0] = count,
	};

	if (copy_from_user(command.output, from, count))
		return -EFAULT;

	lguest_send_dma(command.key + stream, &dma);
	return dma.used_len ?: -EIO;
}

static ssize_t lguest_output_write(u32 stream, const char __user *from,
				   size_t count)
{
	size_t done = 0;

	if (mutex_lock_interruptible(&command.output_lock))
		return -ERESTARTSYS;

	while (done < count) {
		size_t length = min_t(size_t, count - done,
				      LGUEST_COMMAND_BUFFER);
		ssize_t taken = lguest_output(stream, from + done, length);

		if (taken < 0) {
			if (!done)
				done = taken;
			break;
		}
		done += taken;
		if (signal_pending(current))
			break;
	}

	mutex_unlock(&command.output_lock);
	return done;
}

static ssize_t lguest_stdout_write(struct file *file, const char __user *from,
				   size_t count, loff_t *pos)
{
	return lguest_output_write(LGUEST_COMMAND_OUTPUT, from, count);
}

static const struct file_operations lguest_stdout_fops = {
	.owner	= THIS_MODULE,
	.open	= stream_open,
	.write	= lguest_stdout_write,
};

static ssize_t lguest_stderr_write(struct file *file, const char __user *from,
				   size_t count, loff_t *pos)
{
	return lguest_output_write(LGUEST_COMMAND_ERRORS, from, count);
}

static const struct file_operations lguest_stderr_fops = {
	.owner	= THIS_MODULE,
	.open	= stream_open,
	.write	= lguest_stderr_write,
};

static ssize_t lguest_status_write(struct file *file, const char __user *from,
				   size_t count, loff_t *pos)
{
	u8 status;
	int err = kstrtou8_from_user(from, count, 0, &status);

	if (err)
		return err;
	WRITE_ONCE(command.page->status, LGUEST_COMMAND_ENDED | status);
	return count;
}

static const struct file_operations lguest_status_fops = {
	.owner	= THIS_MODULE,
	.open	= stream_open,
	.write	= lguest_status_write,
};

#define LGUEST_COMMAND_FILE(_name, _mode) {				\
	.minor		= MISC_DYNAMIC_MINOR,				\
	.name		= "lguest-" #_name,				\
	.nodename	= "lguest/" #_name,				\
	.mode		= _mode,					\
	.fops		= &lguest_##_name##_fops,			\
}

static struct miscdevice lguest_command_files[] = {
	LGUEST_COMMAND_FILE(arguments, 0400),
	LGUEST_COMMAND_FILE(stdin, 0400),
	LGUEST_COMMAND_FILE(stdout, 0200),
	LGUEST_COMMAND_FILE(stderr, 0200),
	LGUEST_COMMAND_FILE(status, 0200),
};

static int lguest_command_register(struct device *parent)
{
	int i;
	int err;

	for (i = 0; i < ARRAY_SIZE(lguest_command_files); i++) {
		lguest_command_files[i].parent = parent;
		err = misc_register(&lguest_command_files[i]);
		if (err)
			goto deregister;
	}
	return 0;

deregister:
	while (i--)
		misc_deregister(&lguest_command_files[i]);
	return err;
}

static int lguest_command_probe(struct lguest_device *ldev)
{
	int err;

	if (command.page)
		return -EBUSY;

	command.key = lguest_key(ldev);
	command.page = lguest_map(ldev);
	if (IS_ERR(command.page))
		return PTR_ERR(command.page);

	mutex_init(&command.output_lock);
	mutex_init(&command.input_lock);
	init_waitqueue_head(&command.arrival);
	command.output = (void *)devm_get_free_pages(&ldev->dev, GFP_KERNEL,
						     LGUEST_COMMAND_ORDER);
	command.input = (void *)devm_get_free_pages(&ldev->dev, GFP_KERNEL,
						    LGUEST_COMMAND_ORDER);
	if (!command.output || !command.input)
		return -ENOMEM;

	err = devm_request_irq(&ldev->dev, lguest_irq(ldev),
			       lguest_command_interrupt, 0, "lguest-command",
			       &command);
	if (err)
		return err;

	BUILD_BUG_ON(LGUEST_COMMAND_BUFFER > U16_MAX);
	command.receive.addr[0] = __pa(command.input);
	command.receive.len[0] = LGUEST_COMMAND_BUFFER;
	if (!lguest_bind_dma(command.key + LGUEST_COMMAND_INPUT,
			     &command.receive, 1, lguest_irq(ldev)))
		return -ENOSPC;

	err = lguest_command_register(&ldev->dev);
	if (err)
		lguest_unbind_dma(command.key + LGUEST_COMMAND_INPUT,
				  &command.receive);
	return err;
}

static struct lguest_driver lguest_command_driver = {
	.driver.name	= "lguest-command",
	.type		= LGUEST_TYPE_COMMAND,
	.probe		= lguest_command_probe,
};

static int __init lguest_command_init(void)
{
	return lguest_register_driver(&lguest_command_driver);
}
device_initcall(lguest_command_init);

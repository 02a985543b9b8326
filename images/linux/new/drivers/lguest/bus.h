/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LGUEST_BUS_H
#define _LGUEST_BUS_H

#include <linux/device.h>
#include <linux/types.h>

#define LGUEST_DEVICES		16	/* on the page of descriptors */

#define LGUEST_STATUS_SEEN	1	/* there is a struct lguest_device */
#define LGUEST_STATUS_DRIVER	2	/* and a driver for its type */
#define LGUEST_STATUS_OK	4	/* which uses it */
#define LGUEST_STATUS_FAILED	128	/* or gave up */

struct lguest_desc {
	u16 type;
	u16 features;
	u16 status;			/* written by us */
	u16 num_pages;
	u32 pfn;			/* the device's memory */
};

/* Devices stay for as long as the guest runs, and so do their drivers. */
struct lguest_device {
	struct device dev;
	unsigned int index;		/* of the descriptor */
	struct lguest_desc *desc;	/* in memory shared with the host */
	unsigned long errors;		/* what the host failed to do */
};

struct lguest_driver {
	struct device_driver driver;
	u16 type;			/* LGUEST_TYPE_* */
	int (*probe)(struct lguest_device *ldev);
};

static inline unsigned int lguest_irq(const struct lguest_device *ldev)
{
	return ldev->index + 1;		/* 0 is the timer's */
}

/* The key of a device's DMA: where its memory starts. */
static inline u32 lguest_key(const struct lguest_device *ldev)
{
	return ldev->desc->pfn << PAGE_SHIFT;
}

void *lguest_map(struct lguest_device *ldev);
int lguest_register_driver(struct lguest_driver *driver);

#endif /* _LGUEST_BUS_H */

// SPDX-License-Identifier: GPL-2.0-only
/*
 * The lguest bus: one page of descriptors after the end of RAM, which the host
 * has filled before the guest starts. Nothing is ever plugged in or removed.
 */

#include <linux/dma-mapping.h>
#include <linux/init.h>
#include <linux/io.h>
#include <linux/kernel.h>
#include <linux/slab.h>
#include <linux/sysfs.h>

#include <asm/lguest.h>

#include "bus.h"

static struct lguest_device *to_lguest_device(struct device *dev)
{
	return container_of(dev, struct lguest_device, dev);
}

static void lguest_add_status(struct lguest_device *ldev, u16 status)
{
	WRITE_ONCE(ldev->desc->status, ldev->desc->status | status);
}

#define LGUEST_ATTR(_name, _format, _value)				\
static ssize_t _name##_show(struct device *dev,				\
			    struct device_attribute *attr, char *buf)	\
{									\
	return sysfs_emit(buf, _format, to_lguest_device(dev)->_value);	\
}									\
static DEVICE_ATTR_RO(_name)

LGUEST_ATTR(type, "%u\n", desc->type);
LGUEST_ATTR(features, "0x%04x\n", desc->features);
LGUEST_ATTR(status, "0x%04x\n", desc->status);
LGUEST_ATTR(errors, "%lu\n", errors);

static struct attribute *lguest_dev_attrs[] = {
	&dev_attr_type.attr,
	&dev_attr_features.attr,
	&dev_attr_status.attr,
	&dev_attr_errors.attr,
	NULL
};
ATTRIBUTE_GROUPS(lguest_dev);

static ssize_t exit_status_show(struct bus_type *bus, char *buf)
{
	return sysfs_emit(buf, "%u\n", lguest_exit_status);
}

static ssize_t exit_status_store(struct bus_type *bus, const char *buf,
				 size_t count)
{
	u8 status;
	int err = kstrtou8(buf, 0, &status);

	if (err)
		return err;
	lguest_exit_status = status;
	return count;
}
static BUS_ATTR_RW(exit_status);

static struct attribute *lguest_bus_attrs[] = {
	&bus_attr_exit_status.attr,
	NULL
};
ATTRIBUTE_GROUPS(lguest_bus);

static int lguest_match(struct device *dev, struct device_driver *drv)
{
	struct lguest_driver *driver =
		container_of(drv, struct lguest_driver, driver);

	return to_lguest_device(dev)->desc->type == driver->type;
}

static int lguest_probe(struct device *dev)
{
	struct lguest_device *ldev = to_lguest_device(dev);
	struct lguest_driver *driver =
		container_of(dev->driver, struct lguest_driver, driver);
	int err;

	lguest_add_status(ldev, LGUEST_STATUS_DRIVER);
	err = driver->probe(ldev);
	lguest_add_status(ldev, err ? LGUEST_STATUS_FAILED : LGUEST_STATUS_OK);
	return err;
}

static struct bus_type lguest_bus = {
	.name		= "lguest",
	.bus_groups	= lguest_bus_groups,
	.dev_groups	= lguest_dev_groups,
	.match		= lguest_match,
	.probe		= lguest_probe,
};

/* Maps a device's memory, which is like any other, or returns an ERR_PTR(). */
void *lguest_map(struct lguest_device *ldev)
{
	return devm_memremap(&ldev->dev, lguest_key(ldev),
			     (size_t)ldev->desc->num_pages << PAGE_SHIFT,
			     MEMREMAP_WB);
}

int lguest_register_driver(struct lguest_driver *driver)
{
	if (!lguest_guest())
		return 0;

	driver->driver.bus = &lguest_bus;
	driver->driver.suppress_bind_attrs = true;
	return driver_register(&driver->driver);
}

static void lguest_release(struct device *dev)
{
	kfree(to_lguest_device(dev));
}

static void __init lguest_add_device(struct lguest_desc *desc,
				     unsigned int index)
{
	struct lguest_device *ldev = kzalloc(sizeof(*ldev), GFP_KERNEL);

	if (!ldev)
		return;

	ldev->index = index;
	ldev->desc = desc;
	ldev->dev.bus = &lguest_bus;
	ldev->dev.release = lguest_release;
	ldev->dev.coherent_dma_mask = DMA_BIT_MASK(32);
	ldev->dev.dma_mask = &ldev->dev.coherent_dma_mask;
	dev_set_name(&ldev->dev, "%u", index);
	lguest_add_status(ldev, LGUEST_STATUS_SEEN);

	if (device_register(&ldev->dev)) {
		lguest_add_status(ldev, LGUEST_STATUS_FAILED);
		put_device(&ldev->dev);
	}
}

static int __init lguest_bus_init(void)
{
	struct lguest_desc *descs;
	unsigned int i;
	int err;

	if (!lguest_guest())
		return 0;

	descs = memremap(lguest_devices, PAGE_SIZE, MEMREMAP_WB);
	if (!descs)
		return -ENOMEM;

	err = bus_register(&lguest_bus);
	if (err)
		return err;

	for (i = 0; i < LGUEST_DEVICES; i++) {
		if (descs[i].type != LGUEST_TYPE_NONE)
			lguest_add_device(&descs[i], i);
	}
	return 0;
}
postcore_initcall(lguest_bus_init);

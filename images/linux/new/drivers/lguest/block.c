// SPDX-License-Identifier: GPL-2.0-only
/*
 * lguest block device: a page shared with the host holds the one request that
 * is under way; its data goes by DMA, with the page's address as the key.
 */

#include <linux/blk-mq.h>
#include <linux/blkdev.h>
#include <linux/dma-mapping.h>
#include <linux/init.h>
#include <linux/interrupt.h>
#include <linux/scatterlist.h>

#include <asm/lguest.h>

#include "bus.h"

#define LGUEST_BLOCK_FLUSH	0x0001	/* feature: knows LGUEST_FLUSH */
#define LGUEST_BLOCK_READONLY	0x0002	/* feature: refuses LGUEST_WRITE */

#define LGUEST_READ		0
#define LGUEST_WRITE		1
#define LGUEST_FLUSH		2

#define LGUEST_DONE		1
#define LGUEST_FAILED		2

/* Whole pages, of which a DMA section's 16-bit length can hold 15. */
#define LGUEST_MAX_SEGMENT	(15 * PAGE_SIZE)

struct lguest_block_page {
	s32 type;
	u32 sector;
	u32 bytes;
	s32 result;			/* 0 until the host has answered */
	u32 num_sectors;		/* the device's size */
};

struct lguest_block {
	struct lguest_device *ldev;
	struct lguest_block_page *page;
	struct request *req;		/* the one under way */
	struct lguest_dma receive;	/* bound: the host fills it, answers */
	struct lguest_dma send;		/* data to write, or nothing */
	struct scatterlist sg[LGUEST_DMA_SECTIONS];
	int sections;			/* of sg, 0 without data */
	struct blk_mq_tag_set tags;
};

/* What the host can't reach, above 4 GiB, is copied to where it can. */
static bool lguest_block_map(struct lguest_block *block, struct request *req,
			     struct lguest_dma *dma)
{
	struct scatterlist *sg;
	int count, i;

	block->sections = blk_rq_map_sg(req->q, req, block->sg);
	count = dma_map_sg(&block->ldev->dev, block->sg, block->sections,
			   rq_dma_dir(req));
	if (!count) {
		block->sections = 0;
		return false;
	}

	for_each_sg(block->sg, sg, count, i) {
		dma->addr[i] = sg_dma_address(sg);
		dma->len[i] = sg_dma_len(sg);
	}
	if (count < LGUEST_DMA_SECTIONS)
		dma->len[count] = 0;
	return true;
}

static void lguest_block_unmap(struct lguest_block *block, struct request *req)
{
	if (block->sections)
		dma_unmap_sg(&block->ldev->dev, block->sg, block->sections,
			     rq_dma_dir(req));
	block->sections = 0;
}

static blk_status_t lguest_block_queue_rq(struct blk_mq_hw_ctx *hctx,
					  const struct blk_mq_queue_data *data)
{
	struct lguest_block *block = hctx->queue->queuedata;
	struct lguest_block_page *page = block->page;
	struct request *req = data->rq;

	block->receive.len[0] = 0;
	block->send.len[0] = 0;

	switch (req_op(req)) {
	case REQ_OP_READ:
		page->type = LGUEST_READ;
		if (!lguest_block_map(block, req, &block->receive))
			return BLK_STS_RESOURCE;
		break;
	case REQ_OP_WRITE:
		page->type = LGUEST_WRITE;
		if (!lguest_block_map(block, req, &block->send))
			return BLK_STS_RESOURCE;
		break;
	case REQ_OP_FLUSH:
		page->type = LGUEST_FLUSH;
		break;
	default:
		return BLK_STS_NOTSUPP;
	}

	page->sector = page->type == LGUEST_FLUSH ? 0 : blk_rq_pos(req);
	page->bytes = blk_rq_bytes(req);
	page->result = 0;
	block->receive.used_len = 0;

	/* The host may be done before the call returns. */
	blk_mq_start_request(req);
	block->req = req;
	lguest_send_dma(lguest_key(block->ldev), &block->send);
	return BLK_STS_OK;
}

static const struct blk_mq_ops lguest_block_ops = {
	.queue_rq = lguest_block_queue_rq,
};

static irqreturn_t lguest_block_interrupt(int irq, void *dev)
{
	struct lguest_block *block = dev;
	struct request *req = block->req;
	s32 result = READ_ONCE(block->page->result);

	if (!req || !result)
		return IRQ_NONE;

	block->req = NULL;
	lguest_block_unmap(block, req);
	if (result == LGUEST_DONE) {
		blk_mq_end_request(req, BLK_STS_OK);
	} else {
		block->ldev->errors++;
		blk_mq_end_request(req, BLK_STS_IOERR);
	}
	return IRQ_HANDLED;
}

static const struct block_device_operations lguest_block_fops = {
	.owner = THIS_MODULE,
};

static struct gendisk *lguest_block_disk(struct lguest_block *block)
{
	struct gendisk *disk = blk_mq_alloc_disk(&block->tags, block);

	if (IS_ERR(disk))
		return disk;

	blk_queue_max_segments(disk->queue, LGUEST_DMA_SECTIONS);
	blk_queue_max_segment_size(disk->queue, LGUEST_MAX_SEGMENT);
	blk_queue_max_hw_sectors(disk->queue, LGUEST_DMA_SECTIONS *
				 (LGUEST_MAX_SEGMENT >> SECTOR_SHIFT));
	if (block->ldev->desc->features & LGUEST_BLOCK_FLUSH)
		blk_queue_write_cache(disk->queue, true, false);
	return disk;
}

static int lguest_block_add(struct lguest_block *block)
{
	static char letter = 'a';	/* there are at most 16 */
	struct lguest_device *ldev = block->ldev;
	struct gendisk *disk = lguest_block_disk(block);
	int err;

	if (IS_ERR(disk))
		return PTR_ERR(disk);

	disk->fops = &lguest_block_fops;
	disk->private_data = block;
	snprintf(disk->disk_name, sizeof(disk->disk_name), "lgb%c", letter++);
	set_capacity(disk, block->page->num_sectors);
	if (ldev->desc->features & LGUEST_BLOCK_READONLY)
		set_disk_ro(disk, true);

	err = device_add_disk(&ldev->dev, disk, NULL);
	if (err)
		put_disk(disk);
	return err;
}

static int lguest_block_probe(struct lguest_device *ldev)
{
	unsigned int irq = lguest_irq(ldev);
	struct lguest_block *block;
	int err;

	block = devm_kzalloc(&ldev->dev, sizeof(*block), GFP_KERNEL);
	if (!block)
		return -ENOMEM;

	block->ldev = ldev;
	sg_init_table(block->sg, LGUEST_DMA_SECTIONS);
	block->page = lguest_map(ldev);
	if (IS_ERR(block->page))
		return PTR_ERR(block->page);

	err = devm_request_irq(&ldev->dev, irq, lguest_block_interrupt, 0,
			       "lguest-block", block);
	if (err)
		return err;

	block->tags.ops = &lguest_block_ops;
	block->tags.nr_hw_queues = 1;
	block->tags.queue_depth = 1;
	block->tags.numa_node = NUMA_NO_NODE;
	block->tags.flags = BLK_MQ_F_SHOULD_MERGE;
	err = blk_mq_alloc_tag_set(&block->tags);
	if (err)
		return err;

	err = -ENOSPC;
	if (!lguest_bind_dma(lguest_key(ldev), &block->receive, 1, irq))
		goto free_tags;

	err = lguest_block_add(block);
	if (!err)
		return 0;

	lguest_unbind_dma(lguest_key(ldev), &block->receive);
free_tags:
	blk_mq_free_tag_set(&block->tags);
	return err;
}

static struct lguest_driver lguest_block_driver = {
	.driver.name	= "lguest-block",
	.type		= LGUEST_TYPE_BLOCK,
	.probe		= lguest_block_probe,
};

static int __init lguest_block_init(void)
{
	return lguest_register_driver(&lguest_block_driver);
}
device_initcall(lguest_block_init);

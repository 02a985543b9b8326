// SPDX-License-Identifier: GPL-2.0-only
/*
 * lguest network device: a page shared by up to 682 peers has a slot with the
 * MAC address of each. The peer in slot n receives on the page's address + 4n,
 * and whoever sends a frame looks through the slots and sends it to every peer
 * that wants it.
 */

#include <linux/etherdevice.h>
#include <linux/init.h>
#include <linux/interrupt.h>
#include <linux/netdevice.h>
#include <linux/skbuff.h>

#include <asm/lguest.h>

#include "bus.h"

#define LGUEST_NET_SLOT		0x0fff	/* feature bits: our slot */
#define LGUEST_NET_NO_CHECKSUM	0x4000	/* feature: peers trust each other */

#define LGUEST_NET_BUFFERS	8
#define LGUEST_NET_BUFFER	(PAGE_SIZE / 2)	/* takes any frame */
#define LGUEST_NET_ORDER	get_order(LGUEST_NET_BUFFERS * LGUEST_NET_BUFFER)

/*
 * @mac[0] is 0 in an empty slot. A peer that wants every frame sets its bit 0,
 * which no MAC address of a station has.
 */
struct lguest_net_slot {
	u8 mac[ETH_ALEN];
};

#define LGUEST_NET_PROMISC	0x01

struct lguest_net {
	struct lguest_device *ldev;
	struct net_device *dev;
	struct napi_struct napi;	/* runs with the interrupt disabled */
	struct lguest_net_slot *slots;	/* shared by all peers */
	unsigned int count;		/* of slots */
	unsigned int me;		/* our slot */
	unsigned int next;		/* the next frame's buffer */
	void *buffers;			/* memory of the receive DMAs */
	struct lguest_dma receive[LGUEST_NET_BUFFERS];
	struct lguest_dma send;
};

static u32 lguest_net_key(struct lguest_net *net, unsigned int slot)
{
	return lguest_key(net->ldev) + 4 * slot;
}

static void *lguest_net_buffer(struct lguest_net *net, unsigned int i)
{
	return net->buffers + i * LGUEST_NET_BUFFER;
}

/*
 * Sending.
 */

/* No section of a DMA that another guest receives may cross a page. */
static void lguest_net_map(struct lguest_dma *dma, struct sk_buff *skb)
{
	unsigned int len = skb_headlen(skb);
	unsigned int first = min_t(unsigned int, len,
				   PAGE_SIZE - offset_in_page(skb->data));

	dma->addr[0] = __pa(skb->data);
	dma->len[0] = first;
	dma->addr[1] = __pa(skb->data) + first;
	dma->len[1] = len - first;
}

static bool lguest_net_wants(const struct lguest_net_slot *slot, const u8 *mac)
{
	u8 first = READ_ONCE(slot->mac[0]);

	if (!first)
		return false;
	if ((first & LGUEST_NET_PROMISC) || is_multicast_ether_addr(mac))
		return true;
	return first == mac[0] && !memcmp(slot->mac + 1, mac + 1, ETH_ALEN - 1);
}

static void lguest_net_send(struct lguest_net *net, unsigned int slot,
			    unsigned int len)
{
	struct net_device_stats *stats = &net->dev->stats;

	net->send.used_len = 0;
	lguest_send_dma(lguest_net_key(net, slot), &net->send);

	if (net->send.used_len == len) {
		stats->tx_packets++;
		stats->tx_bytes += len;
	} else {
		stats->tx_errors++;
		net->ldev->errors++;
	}
}

static netdev_tx_t lguest_net_xmit(struct sk_buff *skb, struct net_device *dev)
{
	struct lguest_net *net = netdev_priv(dev);
	const struct ethhdr *eth = (struct ethhdr *)skb->data;
	unsigned int i;

	lguest_net_map(&net->send, skb);
	for (i = 0; i < net->count; i++) {
		if (i != net->me && lguest_net_wants(&net->slots[i], eth->h_dest))
			lguest_net_send(net, i, skb->len);
	}
	dev_consume_skb_any(skb);
	return NETDEV_TX_OK;
}

/*
 * Receiving.
 */

static irqreturn_t lguest_net_interrupt(int irq, void *dev)
{
	struct lguest_net *net = dev;

	if (napi_schedule_prep(&net->napi)) {
		disable_irq_nosync(irq);
		__napi_schedule(&net->napi);
	}
	return IRQ_HANDLED;
}

/* Hosts fill the buffers in turn, or always the first that is free. */
static struct lguest_dma *lguest_net_filled(struct lguest_net *net)
{
	unsigned int i;

	for (i = 0; i < LGUEST_NET_BUFFERS; i++) {
		unsigned int n = (net->next + i) % LGUEST_NET_BUFFERS;

		/* The frame was there before its length. */
		if (smp_load_acquire(&net->receive[n].used_len)) {
			net->next = (n + 1) % LGUEST_NET_BUFFERS;
			return &net->receive[n];
		}
	}
	return NULL;
}

static void lguest_net_receive(struct lguest_net *net, struct lguest_dma *dma)
{
	struct net_device *dev = net->dev;
	u32 len = dma->used_len;
	struct sk_buff *skb = NULL;

	if (len < ETH_HLEN || len > LGUEST_NET_BUFFER) {
		dev->stats.rx_errors++;
		dev->stats.rx_length_errors++;
	} else {
		skb = napi_alloc_skb(&net->napi, len);
		if (skb)
			skb_put_data(skb, __va(dma->addr[0]), len);
		else
			dev->stats.rx_dropped++;
	}

	/* The buffer is the sender's again. */
	smp_store_release(&dma->used_len, 0);
	if (!skb)
		return;

	dev->stats.rx_packets++;
	dev->stats.rx_bytes += len;
	skb->protocol = eth_type_trans(skb, dev);
	if (dev->features & NETIF_F_RXCSUM)
		skb->ip_summed = CHECKSUM_UNNECESSARY;
	napi_gro_receive(&net->napi, skb);
}

static int lguest_net_poll(struct napi_struct *napi, int budget)
{
	struct lguest_net *net = container_of(napi, struct lguest_net, napi);
	struct lguest_dma *dma;
	int work = 0;

	while (work < budget && (dma = lguest_net_filled(net))) {
		lguest_net_receive(net, dma);
		work++;
	}
	/* Interrupts since we looked last have been kept for us. */
	if (work < budget && napi_complete_done(napi, work))
		enable_irq(lguest_irq(net->ldev));
	return work;
}

/*
 * The device.
 */

static void lguest_net_set_rx_mode(struct net_device *dev)
{
	struct lguest_net *net = netdev_priv(dev);
	u8 first = dev->dev_addr[0];

	if (dev->flags & IFF_PROMISC)
		first |= LGUEST_NET_PROMISC;
	WRITE_ONCE(net->slots[net->me].mac[0], first);
}

static int lguest_net_set_mac_address(struct net_device *dev, void *address)
{
	/* It would be taken for an empty slot. */
	if (!((struct sockaddr *)address)->sa_data[0])
		return -EADDRNOTAVAIL;
	return eth_mac_addr(dev, address);
}

static int lguest_net_open(struct net_device *dev)
{
	struct lguest_net *net = netdev_priv(dev);
	unsigned int irq = lguest_irq(net->ldev);
	unsigned int i;
	int err;

	for (i = 0; i < LGUEST_NET_BUFFERS; i++) {
		net->receive[i].used_len = 0;
		net->receive[i].addr[0] = __pa(lguest_net_buffer(net, i));
		net->receive[i].len[0] = LGUEST_NET_BUFFER;
	}
	net->next = 0;

	napi_enable(&net->napi);
	err = request_irq(irq, lguest_net_interrupt, 0, dev->name, net);
	if (err)
		goto disable_napi;

	/* Peers look at the first byte. */
	memcpy(net->slots[net->me].mac + 1, dev->dev_addr + 1, ETH_ALEN - 1);
	lguest_net_set_rx_mode(dev);

	err = -ENOSPC;
	if (!lguest_bind_dma(lguest_net_key(net, net->me), net->receive,
			     LGUEST_NET_BUFFERS, irq))
		goto clear_slot;

	netif_start_queue(dev);
	return 0;

clear_slot:
	memset(&net->slots[net->me], 0, sizeof(net->slots[net->me]));
	free_irq(irq, net);
disable_napi:
	napi_disable(&net->napi);
	return err;
}

static int lguest_net_stop(struct net_device *dev)
{
	struct lguest_net *net = netdev_priv(dev);

	netif_stop_queue(dev);
	memset(&net->slots[net->me], 0, sizeof(net->slots[net->me]));
	lguest_unbind_dma(lguest_net_key(net, net->me), net->receive);
	napi_disable(&net->napi);
	free_irq(lguest_irq(net->ldev), net);
	return 0;
}

static const struct net_device_ops lguest_net_ops = {
	.ndo_open		= lguest_net_open,
	.ndo_stop		= lguest_net_stop,
	.ndo_start_xmit		= lguest_net_xmit,
	.ndo_set_rx_mode	= lguest_net_set_rx_mode,
	.ndo_set_mac_address	= lguest_net_set_mac_address,
	.ndo_validate_addr	= eth_validate_addr,
};

static int lguest_net_probe(struct lguest_device *ldev)
{
	u16 features = ldev->desc->features;
	u16 guestid = lguest_data.guestid;
	u8 mac[ETH_ALEN] = { 0x02, 0x00, guestid & 0xff, guestid >> 8 };
	struct net_device *dev;
	struct lguest_net *net;

	dev = devm_alloc_etherdev(&ldev->dev, sizeof(*net));
	if (!dev)
		return -ENOMEM;

	net = netdev_priv(dev);
	net->ldev = ldev;
	net->dev = dev;
	net->me = features & LGUEST_NET_SLOT;
	net->count = (ldev->desc->num_pages << PAGE_SHIFT) /
		     sizeof(*net->slots);
	if (net->me >= net->count)
		return -EINVAL;

	net->slots = lguest_map(ldev);
	if (IS_ERR(net->slots))
		return PTR_ERR(net->slots);

	net->buffers = (void *)devm_get_free_pages(&ldev->dev, GFP_KERNEL,
						   LGUEST_NET_ORDER);
	if (!net->buffers)
		return -ENOMEM;

	SET_NETDEV_DEV(dev, &ldev->dev);
	eth_hw_addr_set(dev, mac);
	dev->netdev_ops = &lguest_net_ops;
	if (features & LGUEST_NET_NO_CHECKSUM) {
		dev->hw_features = NETIF_F_HW_CSUM | NETIF_F_RXCSUM;
		dev->features |= dev->hw_features;
	}
	netif_napi_add(dev, &net->napi, lguest_net_poll);
	return devm_register_netdev(&ldev->dev, dev);
}

static struct lguest_driver lguest_net_driver = {
	.driver.name	= "lguest-net",
	.type		= LGUEST_TYPE_NET,
	.probe		= lguest_net_probe,
};

static int __init lguest_net_init(void)
{
	return lguest_register_driver(&lguest_net_driver);
}
device_initcall(lguest_net_init);

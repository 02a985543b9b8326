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
#include <linux/ipv6.h>
#include <linux/netdevice.h>
#include <linux/skbuff.h>
#include <linux/tcp.h>

#include <asm/lguest.h>
#include <net/ip.h>

#include "bus.h"

#define LGUEST_NET_SLOT		0x0fff	/* feature bits: our slot */
#define LGUEST_NET_SEGMENTS	0x2000	/* feature: large segments */
#define LGUEST_NET_NO_CHECKSUM	0x4000	/* feature: peers trust each other */

#define LGUEST_NET_STATUS	0x0008	/* status: we know of segments */

#define LGUEST_NET_BUFFERS	8
#define LGUEST_NET_PAGES	LGUEST_DMA_SECTIONS	/* of a buffer */
#define LGUEST_NET_BUFFER	(LGUEST_NET_PAGES * PAGE_SIZE)
#define LGUEST_NET_HEADERS	192	/* no less than Ethernet, IP and TCP */

/* What usually fits into the sections of a DMA, wherever its pages begin. */
#define LGUEST_NET_LARGEST	((LGUEST_DMA_SECTIONS - 3) * PAGE_SIZE)

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
	bool segments;			/* the host splits large ones */
	unsigned int next;		/* the next frame's buffer */
	struct page *pages[LGUEST_NET_BUFFERS][LGUEST_NET_PAGES];
	struct lguest_dma receive[LGUEST_NET_BUFFERS];
	struct lguest_dma send;
};

static u32 lguest_net_key(struct lguest_net *net, unsigned int slot)
{
	return lguest_key(net->ldev) + 4 * slot;
}

/*
 * Sending. No section of a DMA that another guest receives may cross a page.
 * Counts on beyond the sections that there are, which is then too many.
 */
static unsigned int lguest_net_add(struct lguest_dma *dma, unsigned int count,
				   phys_addr_t addr, unsigned int len)
{
	while (len) {
		u32 n = min_t(u32, len, PAGE_SIZE - offset_in_page(addr));

		if (count < LGUEST_DMA_SECTIONS) {
			dma->addr[count] = addr;
			dma->len[count] = n;
		}
		count++;
		addr += n;
		len -= n;
	}
	return count;
}

static bool lguest_net_map(struct lguest_dma *dma, const struct sk_buff *skb)
{
	unsigned int count, i;

	count = lguest_net_add(dma, 0, __pa(skb->data), skb_headlen(skb));
	for (i = 0; i < skb_shinfo(skb)->nr_frags; i++) {
		const skb_frag_t *frag = &skb_shinfo(skb)->frags[i];

		count = lguest_net_add(dma, count,
				       page_to_phys(skb_frag_page(frag)) +
				       skb_frag_off(frag), skb_frag_size(frag));
	}
	if (count < LGUEST_DMA_SECTIONS)
		dma->len[count] = 0;
	return count <= LGUEST_DMA_SECTIONS;
}

/* A large segment in too many pieces is split by Linux. */
static netdev_features_t lguest_net_features(struct sk_buff *skb,
					     struct net_device *dev,
					     netdev_features_t features)
{
	struct lguest_net *net = netdev_priv(dev);

	if (skb_is_gso(skb) && !lguest_net_map(&net->send, skb))
		features &= ~NETIF_F_GSO_MASK;
	return features;
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
			    const struct sk_buff *skb)
{
	struct net_device_stats *stats = &net->dev->stats;

	/*
	 * What is left to the host: nothing, or to compute the checksum and
	 * to split what has more payload than that.
	 */
	net->send.used_len = 0;
	if (skb_is_gso(skb))
		net->send.used_len = skb_shinfo(skb)->gso_size;
	else if (net->segments && skb->ip_summed == CHECKSUM_PARTIAL)
		net->send.used_len = U16_MAX;
	lguest_send_dma(lguest_net_key(net, slot), &net->send);

	if (net->send.used_len == skb->len) {
		stats->tx_packets++;
		stats->tx_bytes += skb->len;
	} else {
		stats->tx_errors++;
		net->ldev->errors++;
	}
}

static netdev_tx_t lguest_net_xmit(struct sk_buff *skb, struct net_device *dev)
{
	struct lguest_net *net = netdev_priv(dev);
	unsigned int i;

	if (!lguest_net_map(&net->send, skb) &&
	    (skb_linearize(skb) || !lguest_net_map(&net->send, skb))) {
		dev->stats.tx_dropped++;
		dev_kfree_skb_any(skb);
		return NETDEV_TX_OK;
	}
	for (i = 0; i < net->count; i++) {
		/* The first that a frame says is who it is for. */
		if (i != net->me && lguest_net_wants(&net->slots[i], skb->data))
			lguest_net_send(net, i, skb);
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
static int lguest_net_filled(struct lguest_net *net)
{
	unsigned int i;

	for (i = 0; i < LGUEST_NET_BUFFERS; i++) {
		unsigned int n = (net->next + i) % LGUEST_NET_BUFFERS;

		/* The frame was there before its length. */
		if (smp_load_acquire(&net->receive[n].used_len)) {
			net->next = (n + 1) % LGUEST_NET_BUFFERS;
			return n;
		}
	}
	return -1;
}

/* Puts a fresh page into a buffer. The old one, if any, is the caller's. */
static struct page *lguest_net_renew(struct lguest_net *net, unsigned int n,
				     unsigned int i, gfp_t gfp)
{
	struct page *new = alloc_page(gfp), *old = net->pages[n][i];

	if (!new)
		return NULL;
	net->pages[n][i] = new;
	net->receive[n].addr[i] = page_to_phys(new);
	net->receive[n].len[i] = PAGE_SIZE;
	return old ?: new;
}

/* A large segment keeps its pages: only its headers are copied. */
static struct sk_buff *lguest_net_take(struct lguest_net *net, unsigned int n,
				       unsigned int len)
{
	unsigned int i, off = len > ETH_FRAME_LEN ? LGUEST_NET_HEADERS : len;
	struct sk_buff *skb = napi_alloc_skb(&net->napi, off);
	struct page *page;

	if (!skb)
		return NULL;
	skb_put_data(skb, page_address(net->pages[n][0]), off);
	for (i = 0; off < len; i++, off = i * PAGE_SIZE) {
		page = lguest_net_renew(net, n, i, GFP_ATOMIC);
		if (!page) {
			dev_kfree_skb_any(skb);
			return NULL;
		}
		skb_add_rx_frag(skb, i, page, offset_in_page(off),
				min_t(unsigned int, len, (i + 1) * PAGE_SIZE) - off,
				PAGE_SIZE);
	}
	return skb;
}

/* Says of what a large segment is made: TCP, and not yet with a checksum. */
static bool lguest_net_describe(struct sk_buff *skb, unsigned int mtu)
{
	struct skb_shared_info *info = skb_shinfo(skb);
	bool v4 = skb->protocol == htons(ETH_P_IP);
	unsigned int start = v4 ? ip_hdrlen(skb) : sizeof(struct ipv6hdr);
	u8 protocol = v4 ? ip_hdr(skb)->protocol : ipv6_hdr(skb)->nexthdr;

	if ((!v4 && skb->protocol != htons(ETH_P_IPV6)) ||
	    protocol != IPPROTO_TCP ||
	    !skb_partial_csum_set(skb, start, offsetof(struct tcphdr, check)))
		return false;
	info->gso_type = (v4 ? SKB_GSO_TCPV4 : SKB_GSO_TCPV6) | SKB_GSO_DODGY;
	info->gso_size = mtu - start - tcp_hdrlen(skb);
	return true;
}

static void lguest_net_receive(struct lguest_net *net, unsigned int n)
{
	struct net_device *dev = net->dev;
	u32 len = net->receive[n].used_len;
	struct sk_buff *skb = NULL;

	if (len < ETH_HLEN || len > LGUEST_NET_BUFFER) {
		dev->stats.rx_errors++;
		dev->stats.rx_length_errors++;
	} else {
		skb = lguest_net_take(net, n, len);
		dev->stats.rx_dropped += !skb;
	}

	/* The buffer is the sender's again. */
	smp_store_release(&net->receive[n].used_len, 0);
	if (!skb)
		return;

	skb->protocol = eth_type_trans(skb, dev);
	skb_reset_network_header(skb);
	if (len > ETH_FRAME_LEN && !lguest_net_describe(skb, dev->mtu)) {
		dev->stats.rx_errors++;
		dev->stats.rx_frame_errors++;
		dev_kfree_skb_any(skb);
		return;
	}

	dev->stats.rx_packets++;
	dev->stats.rx_bytes += len;
	if (len <= ETH_FRAME_LEN && (dev->features & NETIF_F_RXCSUM))
		skb->ip_summed = CHECKSUM_UNNECESSARY;
	napi_gro_receive(&net->napi, skb);
}

static int lguest_net_poll(struct napi_struct *napi, int budget)
{
	struct lguest_net *net = container_of(napi, struct lguest_net, napi);
	int work = 0, n;

	while (work < budget && (n = lguest_net_filled(net)) >= 0) {
		lguest_net_receive(net, n);
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

static void lguest_net_free(struct lguest_net *net)
{
	struct page **page = net->pages[0];
	unsigned int i;

	for (i = 0; i < LGUEST_NET_BUFFERS * LGUEST_NET_PAGES; i++, page++) {
		if (*page)
			__free_page(*page);
		*page = NULL;
	}
}

static int lguest_net_open(struct net_device *dev)
{
	struct lguest_net *net = netdev_priv(dev);
	unsigned int irq = lguest_irq(net->ldev);
	unsigned int i;
	int err = -ENOMEM;

	for (i = 0; i < LGUEST_NET_BUFFERS * LGUEST_NET_PAGES; i++) {
		if (!lguest_net_renew(net, i / LGUEST_NET_PAGES,
				      i % LGUEST_NET_PAGES, GFP_KERNEL))
			goto free_buffers;
	}
	for (i = 0; i < LGUEST_NET_BUFFERS; i++)
		net->receive[i].used_len = 0;
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
free_buffers:
	lguest_net_free(net);
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
	lguest_net_free(net);
	return 0;
}

static const struct net_device_ops lguest_net_ops = {
	.ndo_open		= lguest_net_open,
	.ndo_stop		= lguest_net_stop,
	.ndo_start_xmit		= lguest_net_xmit,
	.ndo_features_check	= lguest_net_features,
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
	net->segments = features & LGUEST_NET_SEGMENTS;
	if (net->segments)
		ldev->desc->status |= LGUEST_NET_STATUS;
	net->count = (ldev->desc->num_pages << PAGE_SHIFT) /
		     sizeof(*net->slots);
	if (net->me >= net->count)
		return -EINVAL;

	net->slots = lguest_map(ldev);
	if (IS_ERR(net->slots))
		return PTR_ERR(net->slots);

	SET_NETDEV_DEV(dev, &ldev->dev);
	eth_hw_addr_set(dev, mac);
	dev->netdev_ops = &lguest_net_ops;
	if (features & LGUEST_NET_NO_CHECKSUM)
		dev->hw_features = NETIF_F_HW_CSUM | NETIF_F_RXCSUM;
	else if (net->segments)
		dev->hw_features = NETIF_F_IP_CSUM | NETIF_F_IPV6_CSUM;
	if (net->segments) {
		dev->hw_features |= NETIF_F_SG | NETIF_F_TSO | NETIF_F_TSO6;
		netif_set_tso_max_size(dev, LGUEST_NET_LARGEST);
	}
	dev->features |= dev->hw_features;
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

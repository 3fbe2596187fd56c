/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* overlay: packets in the tunnel between nodes; path_choose() says which packets of a pod go there (path.h). Nodes believe what other
 * nodes put into it, so nothing that a workload sends may look like a packet of the tunnel. */
#ifndef WEFT_OVERLAY_H
#define WEFT_OVERLAY_H

#include "abi/event.h"
#include "abi/geneve.h"
#include "abi/overlay.h"
#include "addr.h"
#include "packet.h"

volatile const struct geneve_config geneve = {};
volatile const struct overlay_config overlays = { .networks = 1 };

static __always_inline int overlay_is(const struct packet *p)
{
	if (p->protocol != IPPROTO_UDP)
		return 0;
	return (config.tunnel_port && p->dst_port == bpf_htons(config.tunnel_port)) || (geneve.on && p->dst_port == bpf_htons(geneve.port));
}

/* Refuses a workload's packet to the tunnel port if it goes to a node, to a VTEP or what lies behind it, or to the outside where
 * masquerade would give it a node's address. To workloads, and to the outside without masquerade, it may pass. Returns 0 or a drop reason. */
static __always_inline int overlay_check_target(const struct packet *p, const struct ipcache *h)
{
	struct addr as = config_masquerade(p->v6);

	if (!overlay_is(p))
		return 0;
	if (h && (h->flags & IPCACHE_VTEP))
		return DROP_ENCAP_PROHIBITED;
	if (h && (h->flags & IPCACHE_CLUSTER))
		return h->flags & IPCACHE_NODE ? DROP_ENCAP_PROHIBITED : 0;
	return addr_is_zero(&as) ? 0 : DROP_ENCAP_PROHIBITED;
}

/* Whether a packet of the overlay that came to this node came to where its tunnel ends, as nodes send it. */
static __always_inline int overlay_is_here(const struct addr *dst)
{
	struct addr own = config_addr(&config.tunnel);

	return addr_is_zero(&own) || addr_equal(dst, &own);
}

/* The VNI of a packet in a network: the sender's identity in that of pods; elsewhere the network's number, and the receiver looks the
 * sender up. */
static __always_inline __u32 overlay_vni(__u32 net, __u32 identity)
{
	return net ? OVERLAY_VNI | net : identity;
}

/* Whether a VNI says a network. */
static __always_inline int overlay_is_network(__u32 vni)
{
	return overlays.networks && vni >> 16 == OVERLAY_VNI >> 16;
}

/* Sets the tunnel key: to where a node's tunnel ends. Returns 0 or a drop reason. */
static __always_inline int overlay_encap(struct __sk_buff *skb, const struct addr *tunnel, __u32 vni)
{
	struct bpf_tunnel_key key = { .tunnel_id = vni, .tunnel_ttl = 64 };
	__u64 flags = 0;

	if (addr_is4(tunnel)) {
		key.remote_ipv4 = bpf_ntohl(addr_4(tunnel));
		flags = BPF_F_ZERO_CSUM_TX;
	} else {
		__builtin_memcpy(key.remote_ipv6, tunnel, 16);
		flags = BPF_F_TUNINFO_IPV6;
	}
	return bpf_skb_set_tunnel_key(skb, &key, sizeof(key), flags) ? DROP_TUNNEL_KEY : 0;
}

/* The same to a VTEP, which knows no identities and takes only frames for its own MAC. */
static __always_inline int overlay_wrap_foreign(struct __sk_buff *skb, const struct addr *tunnel, const __u8 *mac)
{
	return bpf_skb_store_bytes(skb, 0, mac, 6, 0) ? DROP_WRITE : overlay_encap(skb, tunnel, IDENTITY_WORLD);
}

#endif

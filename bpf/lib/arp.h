/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* arp: who has an IPv4 address on a link (RFC 826). */
#ifndef WEFT_ARP_H
#define WEFT_ARP_H

#include "abi/event.h"
#include "packet.h"

struct arp {
	__be16 hardware, protocol;
	__u8 hardware_size, protocol_size;
	__be16 operation;
	__u8 sender_mac[6], sender[4], target_mac[6], target[4];
} __attribute__((packed));

#define ARP_ETHERNET 1
#define ARP_REQUEST 1
#define ARP_REPLY 2

static __always_inline __be32 arp_address(const __u8 *a)
{
	__be32 address;

	__builtin_memcpy(&address, a, 4);
	return address;
}

/* Turns a request into its answer in place: `mac` has what it asks for. Returns 0 or a drop reason. */
static __always_inline int arp_turn(struct __sk_buff *skb, struct arp *a, const __u8 *mac)
{
	__u8 target[4];
	__u8 macs[12];

	__builtin_memcpy(target, a->target, 4);
	a->operation = bpf_htons(ARP_REPLY);
	__builtin_memcpy(a->target_mac, a->sender_mac, 6);
	__builtin_memcpy(a->target, a->sender, 4);
	__builtin_memcpy(a->sender_mac, mac, 6);
	__builtin_memcpy(a->sender, target, 4);
	__builtin_memcpy(macs, a->target_mac, 6);
	__builtin_memcpy(macs + 6, mac, 6);
	return bpf_skb_store_bytes(skb, ETH_HEADER, a, sizeof(*a), 0) || bpf_skb_store_bytes(skb, 0, macs, sizeof(macs), 0) ? DROP_WRITE : 0;
}

#endif

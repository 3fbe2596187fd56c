/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* packet: what is known of a packet, in both families alike, and its bytes. */
#ifndef WEFT_PACKET_H
#define WEFT_PACKET_H

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include "config.h"

struct packet {
	struct addr src;
	struct addr dst;
	__be16 src_port; /* ICMP: see icmp_ports */
	__be16 dst_port;
	__u16 l3;	 /* offsets from the start of the frame */
	__u16 l4;
	__u8 protocol;
	__u8 tcp_flags;
	__u8 icmp_type;
	__u8 icmp_code;
	__u8 v6;
	__u8 ttl;
	__u8 first_fragment; /* has the L4 header of the whole datagram */
	__u8 later_fragment; /* has no L4 header */
	__u8 icmp_error;     /* quotes another packet at l4 + 8 */
	__u8 icmp_request;   /* type of the request that this is or answers; 0: neither */
	__u8 fragment_protocol; /* next protocol by a fragment's own header */
	__u8 asks;	     /* ICMP: enum ct_asks if its source is a of the key, and << 4 if it is b */
	__u32 fragment;	     /* number of the datagram that this is a fragment of */
	__u32 end;	     /* where the packet ends in the frame, as its IP header says */
	__u32 owner;	     /* whose quota holds what this packet opens: key of quota */
	__u32 seq;	     /* TCP */
	__u32 ack;
	__u32 seq_end;	     /* TCP: the number after what this packet sends */
	__u16 offset;	     /* of a later fragment: where in its datagram it begins, in bytes */
	__u16 data;	     /* of a fragment: where in the frame its payload begins */
};

#define ETH_HEADER 14
#define VLAN_NUMBER 0xfff /* of the tag control information; its other bits are a priority */

/* Copies bytes of a packet; mostly they lie in its linear part, where no helper is needed. Returns 0, or not if the
 * packet is too short. */
static __always_inline int packet_load(struct __sk_buff *skb, const struct packet *p, __u32 at, void *to, const __u32 size)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;

	if (at + size > p->end)
		return 1;
	if (at < 0x1000) {
		__u64 offset = at;

		asm volatile("%0 &= 0xfff" : "+r"(offset)); /* so that the verifier sees it */
		if (data + offset + size <= end) {
			__builtin_memcpy(to, data + offset, size);
			return 0;
		}
	}
	return bpf_skb_load_bytes(skb, at, to, size);
}

#endif

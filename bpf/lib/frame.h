/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* frame: a packet as XDP has it: bytes between two pointers, before there is a packet of the kernel's. Only the plain form is read and
 * written: Ethernet, IP without options and extension headers, TCP or UDP, whole. There the addresses and ports lie in one run. All
 * else is for tc. */
#ifndef WEFT_FRAME_H
#define WEFT_FRAME_H

#include "parse.h"

#define FRAME_L4_IN4 (ETH_HEADER + sizeof(struct iphdr))
#define FRAME_L4_IN6 (ETH_HEADER + sizeof(struct ipv6hdr))
#define FRAME_ENDS_IN4 (FRAME_L4_IN4 - 8) /* source, destination, and behind them the ports */
#define FRAME_ENDS_IN6 (FRAME_L4_IN6 - 32)

static __always_inline __u32 frame_length(const struct xdp_md *x)
{
	return (long)x->data_end - (long)x->data;
}

/* Whether a frame was sent to a device with this address. */
static __always_inline int frame_is_to(const struct xdp_md *x, const __u8 *mac)
{
	const __u16 *to = (void *)(long)x->data, *at = (const __u16 *)mac;

	return (void *)(to + 3) <= (void *)(long)x->data_end && to[0] == at[0] && to[1] == at[1] && to[2] == at[2];
}

/* Reads the header of the transport at `l4`. Returns 0, or not if the packet is not of the plain form. */
static __always_inline int frame_read_l4(struct packet *p, const void *l4, const void *end)
{
	const __be16 *ports = l4;

	if (p->end > ETH_HEADER + 0xffff || p->l4 + parse_least(p->protocol) > p->end)
		return 1;
	switch (p->protocol) {
	case IPPROTO_TCP:
		return l4 + 20 > end || parse_tcp_head(p, l4);
	case IPPROTO_UDP:
		if (l4 + 8 > end)
			return 1;
		p->src_port = ports[0];
		p->dst_port = ports[1];
		return 0;
	default:
		return 1;
	}
}

/* Reads a packet, which is all zero yet. Returns 0, or not if it is not of the plain form. */
static __always_inline int frame_read(const struct xdp_md *x, struct packet *p)
{
	void *data = (void *)(long)x->data, *end = (void *)(long)x->data_end;
	struct ethhdr *eth = data;
	struct iphdr *h4 = data + ETH_HEADER;
	struct ipv6hdr *h6 = data + ETH_HEADER;

	p->l3 = ETH_HEADER;
	if (data + FRAME_L4_IN4 > end)
		return 1;
	if (eth->h_proto == bpf_htons(ETH_P_IP)) {
		p->end = ETH_HEADER + bpf_ntohs(h4->tot_len);
		if (*(__u8 *)h4 != 0x45 || (h4->frag_off & bpf_htons(0x3fff)) || p->end > frame_length(x))
			return 1;
		parse_head4(p, h4);
		return frame_read_l4(p, data + FRAME_L4_IN4, end);
	}
	if (eth->h_proto != bpf_htons(ETH_P_IPV6) || data + FRAME_L4_IN6 > end)
		return 1;
	p->end = FRAME_L4_IN6 + bpf_ntohs(h6->payload_len);
	if (h6->version != 6 || p->end > frame_length(x) || parse_head6(p, h6))
		return 1;
	return frame_read_l4(p, data + FRAME_L4_IN6, end);
}

/* 16 bits of a sum of such words. */
static __always_inline __u16 frame_fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16);
}

/* Both are zero: 0 and 0xffff. */
static __always_inline int frame_same(__u16 a, __u16 b)
{
	return a == b || (!(__u16)(a + 1) && !b) || (!a && !(__u16)(b + 1));
}

/* Where the checksum of the transport's header at `l4` lies; NULL: the frame ends before. */
static __always_inline __be16 *frame_check(const struct packet *p, void *l4, const void *end)
{
	if (p->protocol == IPPROTO_TCP)
		return l4 + 20 > end ? NULL : l4 + 16;
	return l4 + 8 > end ? NULL : l4 + 6;
}

/* Whether a packet's sender, a machine of the same kernel, left its checksum to a device (CHECKSUM_PARTIAL): then the sum of the pseudo
 * header stands there, of some senders that of a packet of many segments without its length. XDP is not told, and what it changed and
 * sent would arrive with a wrong checksum. One of 32,768 packets that are whole has such a number by chance. */
static __always_inline int frame_is_partial(const struct xdp_md *x, const struct packet *p)
{
	void *data = (void *)(long)x->data, *end = (void *)(long)x->data_end;
	__u64 sum = bpf_htons(p->protocol);
	__be16 *check;

	if (p->v6) {
		check = frame_check(p, data + FRAME_L4_IN6, end);
		if (check)
			sum += (__u32)bpf_csum_diff(NULL, 0, data + FRAME_ENDS_IN6, 32, 0);
	} else {
		check = frame_check(p, data + FRAME_L4_IN4, end);
		if (check)
			sum += (__u32)bpf_csum_diff(NULL, 0, data + FRAME_ENDS_IN4, 8, 0);
	}
	if (!check)
		return 1;
	if (p->protocol == IPPROTO_UDP && !*check)
		return 0; /* it has none */
	return frame_same(*check, frame_fold(sum)) || frame_same(*check, frame_fold(sum + bpf_htons(p->end - p->l4)));
}

/* A checksum after the `size` bytes at `from` have become those at `to` (RFC 1624). */
static __always_inline __be16 frame_sum(__be16 check, __be32 *from, __be32 *to, const __u32 size)
{
	return ~frame_fold((__u32)bpf_csum_diff(from, size, to, size, (__u16)~check));
}

/* The same for the transport's, and for the bytes themselves. */
static __always_inline void frame_put(const struct packet *p, __be16 *check, void *from, void *to, const __u32 size)
{
	__be16 sum = frame_sum(*check, from, to, size);

	if (p->protocol != IPPROTO_UDP)
		*check = sum;
	else if (*check) /* else it has none */
		*check = sum ? sum : 0xffff;
	__builtin_memcpy(from, to, size);
}

/* Writes the addresses and ports that `p` has now into its frame, with one hop less, for the next machine on its way. Returns 0, or not,
 * and has written nothing then. */
static __always_inline int frame_write(struct xdp_md *x, const struct packet *p, const __u8 *dst_mac, const __u8 *src_mac)
{
	void *data = (void *)(long)x->data, *end = (void *)(long)x->data_end;
	struct iphdr *h4 = data + ETH_HEADER;
	struct ipv6hdr *h6 = data + ETH_HEADER;
	__be16 *check = p->v6 ? frame_check(p, data + FRAME_L4_IN6, end) : frame_check(p, data + FRAME_L4_IN4, end);

	if (!check)
		return 1;
	if (p->v6) {
		struct {
			struct addr src, dst;
			__be16 src_port, dst_port;
		} ends = { p->src, p->dst, p->src_port, p->dst_port };

		frame_put(p, check, data + FRAME_ENDS_IN6, &ends, 36);
		h6->hop_limit--;
	} else {
		struct {
			__be32 src, dst;
			__be16 src_port, dst_port;
		} ends = { addr_4(&p->src), addr_4(&p->dst), p->src_port, p->dst_port };
		__be32 hops = h4->ttl, fewer = hops - 1;

		h4->check = frame_sum(h4->check, (__be32 *)(data + FRAME_ENDS_IN4), &ends.src, 8);
		h4->check = frame_sum(h4->check, &hops, &fewer, 4);
		frame_put(p, check, data + FRAME_ENDS_IN4, &ends, 12);
		h4->ttl--;
	}
	__builtin_memcpy(data, dst_mac, 6);
	__builtin_memcpy(data + 6, src_mac, 6);
	return 0;
}

#endif

/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* icmp: numbers of both ICMPs, and what stands for ports of their messages. */
#ifndef WEFT_ICMP_H
#define WEFT_ICMP_H

#include "packet.h"

/* RFC 792, RFC 4443, RFC 4861; RFC 2710 and RFC 3810 for multicast listeners. */
#define ICMP_ECHOREPLY 0
#define ICMP_DEST_UNREACH 3
#define ICMP_SOURCE_QUENCH 4
#define ICMP_REDIRECT 5
#define ICMP_ECHO 8
#define ICMP_TIME_EXCEEDED 11
#define ICMP_PARAMETERPROB 12
#define ICMP_TIMESTAMP 13
#define ICMP_ADDRESS 17
#define ICMP6_ECHO_REQUEST 128
#define ICMP6_ECHO_REPLY 129
#define ICMP6_MLD_QUERY 130
#define ICMP6_MLD_DONE 132
#define ICMP6_ND_ROUTER_SOLICIT 133
#define ICMP6_ND_ROUTER_ADVERT 134
#define ICMP6_ND_SOLICIT 135
#define ICMP6_ND_ADVERT 136
#define ICMP6_ND_REDIRECT 137
#define ICMP6_MLD2_REPORT 143

/* The type of request that an ICMP message asks or answers, 0: neither (RFC 792, RFC 950, RFC 4443 4). */
static __always_inline __u8 icmp_request(const struct packet *p, __u8 type)
{
	if (p->v6)
		return type == ICMP6_ECHO_REQUEST || type == ICMP6_ECHO_REPLY ? ICMP6_ECHO_REQUEST : 0;
	if (type == ICMP_ECHO || type == ICMP_ECHOREPLY)
		return ICMP_ECHO;
	return type >= ICMP_TIMESTAMP && type <= ICMP_ADDRESS + 1 ? (type - 1) | 1 : 0;
}

/* The type of the answer to a request of this type. */
static __always_inline __u8 icmp_answer(__u8 request)
{
	return request == ICMP_ECHO ? ICMP_ECHOREPLY : request + 1;
}

/* Which end asks (enum ct_asks), for both orders of the ends in the key: ct_key_of takes the half that it needs. */
static __always_inline __u8 icmp_asks(const struct packet *p)
{
	if (!p->icmp_request)
		return CT_TELLS_A | CT_TELLS_B << 4;
	return p->icmp_request == p->icmp_type ? CT_ASKS_A | CT_ASKS_B << 4 : CT_ASKS_B | CT_ASKS_A << 4;
}

static __always_inline int icmp_is_request(const struct packet *p)
{
	return p->icmp_request && p->icmp_request == p->icmp_type;
}

/* What stands for ports of ICMP: of a request the identifier on the side that asks and the type on the other, which its
 * answer has the other way round. Any other message has its type, plus 1, at its source, and no answer. */
static __always_inline void icmp_ports(struct packet *p, __u8 type, __be16 id)
{
	__u8 request = icmp_request(p, type);

	p->icmp_type = type;
	p->icmp_request = request;
	p->asks = icmp_asks(p);
	if (!request) {
		p->src_port = bpf_htons(type + 1);
		p->dst_port = 0;
	} else if (request == type) {
		p->src_port = id;
		p->dst_port = bpf_htons(request);
	} else {
		p->src_port = bpf_htons(request);
		p->dst_port = id;
	}
}

/* Of multicast listeners (RFC 2710, RFC 3810). */
static __always_inline int icmp_is_listener(const struct packet *p)
{
	return p->icmp_type == ICMP6_MLD2_REPORT || (p->icmp_type >= ICMP6_MLD_QUERY && p->icmp_type <= ICMP6_MLD_DONE);
}

#endif

/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* addr: 16 bytes for both families, IPv4 mapped (RFC 4291 2.5.5.2). */
#ifndef WEFT_ADDR_H
#define WEFT_ADDR_H

#include "config.h"

static __always_inline int addr_equal(const struct addr *x, const struct addr *y)
{
	const __u64 *p = (const __u64 *)x, *q = (const __u64 *)y;

	return p[0] == q[0] && p[1] == q[1];
}

static __always_inline int addr_is_zero(const struct addr *x)
{
	const __u64 *p = (const __u64 *)x;

	return !(p[0] | p[1]);
}

static __always_inline void addr_from4(struct addr *a, __be32 ip)
{
	__u32 *w = (__u32 *)a;

	w[0] = 0;
	w[1] = 0;
	w[2] = bpf_htonl(0xffff);
	w[3] = ip;
}

static __always_inline int addr_is4(const struct addr *a)
{
	const __u32 *w = (const __u32 *)a;

	return !w[0] && !w[1] && w[2] == bpf_htonl(0xffff);
}

static __always_inline __be32 addr_4(const struct addr *a)
{
	return ((const __u32 *)a)[3];
}

static __always_inline int addr_is_multicast(const struct addr *a)
{
	if (addr_is4(a))
		return (a->b[12] & 0xf0) == 0xe0 || addr_4(a) == 0xffffffff;
	return a->b[0] == 0xff;
}

/* 255.255.255.255. Broadcast addresses of subnets are rows of ipcache, as addresses of this node. */
static __always_inline int addr_is_broadcast(const struct addr *a)
{
	return addr_is4(a) && addr_4(a) == 0xffffffff;
}

/* The source of a workload that reached itself through a service: only programs of this node set it, so from outside it is forged. */
static __always_inline int addr_is_hairpin(const struct addr *a)
{
	struct addr own4 = config_loopback(0), own6 = config_loopback(1);

	return !addr_is_zero(a) && (addr_equal(a, &own4) || addr_equal(a, &own6));
}

/* 127.0.0.0/8 and ::1, which are never on a link (RFC 1122 3.2.1.3, RFC 4291 2.5.3). */
static __always_inline int addr_is_loopback(const struct addr *a)
{
	const __u64 *p = (const __u64 *)a;

	return addr_is4(a) ? a->b[12] == 127 : !p[0] && p[1] == bpf_cpu_to_be64(1);
}

static __always_inline int addr_is_link_local6(const struct addr *a)
{
	return a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80;
}

/* A hash of an address and a number. For one address different numbers give different results. */
static __always_inline __u32 addr_mixed(const struct addr *a, __u32 number)
{
	const __u32 *w = (const __u32 *)a;
	__u32 h = w[0] * ADDR_MIX_0 ^ w[1] * ADDR_MIX_1 ^ w[2] * ADDR_MIX_2 ^ w[3] * ADDR_MIX_3 ^ number;

	h ^= h >> 15;
	h *= ADDR_MIX_ALL;
	h ^= h >> 12;
	return h;
}

static __always_inline int addr_less(const struct addr *x, const struct addr *y, __be16 xp, __be16 yp)
{
	const __u64 *p = (const __u64 *)x, *q = (const __u64 *)y;

	if (p[1] != q[1])
		return p[1] < q[1];
	if (p[0] != q[0])
		return p[0] < q[0];
	return xp <= yp;
}

#endif

/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* socket: translates services for the processes of a control group, at connect, sendmsg, recvmsg and getpeername, and keeps their ports free at bind. */
#include "lib/bind.h"
#include "lib/socket.h"

/* An IPv6 socket that speaks IPv4 has mapped addresses (RFC 4291 2.5.5.2), the form in which maps have IPv4, too. */
static __always_inline void peer_read(const struct bpf_sock_addr *ctx, struct addr *a, int v6)
{
	__u32 *w = (__u32 *)a;

	if (!v6) {
		addr_from4(a, ctx->user_ip4);
		return;
	}
	w[0] = ctx->user_ip6[0];
	w[1] = ctx->user_ip6[1];
	w[2] = ctx->user_ip6[2];
	w[3] = ctx->user_ip6[3];
}

static __always_inline void peer_write(struct bpf_sock_addr *ctx, const struct addr *a, __be16 port, int v6)
{
	const __u32 *w = (const __u32 *)a;

	ctx->user_port = port;
	if (!v6) {
		ctx->user_ip4 = addr_4(a);
		return;
	}
	ctx->user_ip6[0] = w[0];
	ctx->user_ip6[1] = w[1];
	ctx->user_ip6[2] = w[2];
	ctx->user_ip6[3] = w[3];
}

/* A call of a service without backends. A process of the node is refused here, since no program at a device would do it; a pod's call
 * goes on as a packet, which from_pod drops, tells as a flow and answers. */
static __always_inline int refuse(struct bpf_sock_addr *ctx)
{
	if (!socket_is_host(ctx))
		return 1;
	bpf_set_retval(-ECONNREFUSED);
	return 0;
}

static __always_inline int call(struct bpf_sock_addr *ctx, int v6, int message)
{
	__be16 port = ctx->user_port;
	struct addr a;
	int led;

	peer_read(ctx, &a, v6);
	led = socket_translate(ctx, &a, &port, message);
	if (led > 0)
		peer_write(ctx, &a, port, v6);
	return led < 0 ? refuse(ctx) : 1;
}

static __always_inline int answer(struct bpf_sock_addr *ctx, int v6)
{
	__be16 port = ctx->user_port;
	struct addr a;

	peer_read(ctx, &a, v6);
	if (socket_restore(ctx, &a, &port))
		peer_write(ctx, &a, port, v6);
	return 1;
}

SEC("cgroup/connect4")
int connect4(struct bpf_sock_addr *ctx)
{
	return call(ctx, 0, 0);
}

SEC("cgroup/connect6")
int connect6(struct bpf_sock_addr *ctx)
{
	return call(ctx, 1, 0);
}

SEC("cgroup/sendmsg4")
int sendmsg4(struct bpf_sock_addr *ctx)
{
	return call(ctx, 0, 1);
}

SEC("cgroup/sendmsg6")
int sendmsg6(struct bpf_sock_addr *ctx)
{
	return call(ctx, 1, 1);
}

SEC("cgroup/recvmsg4")
int recvmsg4(struct bpf_sock_addr *ctx)
{
	return answer(ctx, 0);
}

SEC("cgroup/recvmsg6")
int recvmsg6(struct bpf_sock_addr *ctx)
{
	return answer(ctx, 1);
}

SEC("cgroup/getpeername4")
int getpeername4(struct bpf_sock_addr *ctx)
{
	return answer(ctx, 0);
}

SEC("cgroup/getpeername6")
int getpeername6(struct bpf_sock_addr *ctx)
{
	return answer(ctx, 1);
}

SEC("cgroup/post_bind4")
int post_bind4(struct bpf_sock *ctx)
{
	struct addr a;

	addr_from4(&a, ctx->src_ip4);
	return bind_may(ctx, &a);
}

SEC("cgroup/post_bind6")
int post_bind6(struct bpf_sock *ctx)
{
	__u32 w[4] = { ctx->src_ip6[0], ctx->src_ip6[1], ctx->src_ip6[2], ctx->src_ip6[3] };

	return bind_may(ctx, (const struct addr *)w);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";

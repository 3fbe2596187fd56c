/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* sweep: no hook. The agent names entries that look finished; here they are looked at again, taken out, and given back to
 * their owners' shares, which only the kernel can do without a race. */
#include "lib/sweep.h"

union sweep_key {
	struct ct_key connection;
	struct nat_key translation;
	struct fragment_key fragment;
};

/* What to look at: keys of one table. */
struct sweep {
	__u32 table;   /* enum shared */
	__u32 count;   /* of keys */
	__u32 removed; /* out */
	__u32 pad;
	union sweep_key keys[SWEEP_KEYS];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct sweep);
	__uint(max_entries, 1);
} sweeping SEC(".maps");

SEC("syscall")
int sweep(void *unused)
{
	__u32 zero = 0, removed = 0;
	struct sweep *s = bpf_map_lookup_elem(&sweeping, &zero);

	if (!s)
		return 0;
	for (__u32 i = 0; i < SWEEP_KEYS; i++) {
		union sweep_key *key = &s->keys[i];

		if (i >= s->count)
			break;
		if (s->table == SHARED_CONNECTIONS)
			removed += sweep_connection(&key->connection);
		else if (s->table == SHARED_TRANSLATIONS)
			removed += sweep_translation(&key->translation);
		else
			removed += sweep_fragment(&key->fragment);
	}
	s->removed = removed;
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* sweep: run by the agent, at no hook: removes finished connections (conntrack GC). The agent names entries that look finished; here
 * each is looked at again, removed, and given back to its owner's quota, which only a program can do without a race. The same holds
 * of flags that the agent sets on connections, while packets set others. */
#include "lib/sweep.h"

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
		if (s->what)
			removed += sweep_mark(&key->connection, s->what);
		else if (s->table == QUOTA_CONNECTIONS)
			removed += sweep_connection(&key->connection);
		else if (s->table == QUOTA_TRANSLATIONS)
			removed += sweep_translation(&key->translation);
		else
			removed += sweep_fragment(&key->fragment);
	}
	s->removed = removed;
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";

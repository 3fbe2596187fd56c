package network

import (
	"context"

	"weftnet.io/weftnet/internal/state"
	"weftnet.io/weftnet/internal/table/grant"
)

// WatchTaken tells of addresses that NICs were granted and that others have, in the log and as events of the pods, until ctx ends.
func (n *Networks) WatchTaken(ctx context.Context) error {
	return follow(ctx, n.Options.DB, grant.TakenAddresses, func(c state.Change[grant.Taken]) {
		if c.Deleted {
			return
		}
		n.Options.Log.Warn("an address that a NIC was granted is taken", "pod", c.Row.Namespace+"/"+c.Row.Pod, "why", c.Row.Text())
		if n.Told {
			n.tell(event{c.Row.Namespace, c.Row.Pod, c.Row.UID, true, "AddressConflict", c.Row.Text()})
		}
	})
}

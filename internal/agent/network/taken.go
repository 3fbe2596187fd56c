package network

import (
	"context"

	"weftnet.io/weftnet/internal/table/grant"
)

// WatchTaken tells of addresses that NICs were granted and that others have, in the log and as events of the pods, until ctx ends.
func (n *Networks) WatchTaken(ctx context.Context) error {
	feed := grant.TakenAddresses.Feed(n.Options.DB)
	defer feed.Close()
	for {
		changes, _, more := feed.Next()
		for _, c := range changes {
			if c.Deleted {
				continue
			}
			n.Options.Log.Warn("an address that a NIC was granted is taken", "pod", c.Row.Namespace+"/"+c.Row.Pod, "why", c.Row.Text())
			if n.Told {
				n.tell(event{c.Row.Namespace, c.Row.Pod, c.Row.UID, true, "AddressConflict", c.Row.Text()})
			}
		}
		select {
		case <-more:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
